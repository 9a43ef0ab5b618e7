"""A log made from its definition, without a database: batches of made-up transactions, and documents out of it."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.leaf import GENESIS, batch_record, encode_hold, encode_leaf, encode_leg
from ledger.log.note import checkpoint_text, sign_note, verifier_key
from ledger.log.seals import SealedBalance, seal_reference
from ledger.merkle import consistency_path, inclusion_proof, leaf_hash, tree_root
from ledger.verify import decode_batch, decode_item, decode_leaf

ORIGIN = "ledger.example/log"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)
MIDNIGHT = datetime(2026, 12, 2, tzinfo=UTC)

Document = dict[str, Any]


def jwk_of(key: Ed25519PrivateKey, **members: Any) -> Document:
    """A published key."""
    public = key.public_key().public_bytes_raw()
    x = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
    vkey = verifier_key(ORIGIN, public)
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "vkey": vkey, "status": "current", **members}


def jwks(*keys: Document) -> bytes:
    """A key set; of the log's own key unless others are given."""
    return json.dumps({"keys": keys or [jwk_of(KEY)]}).encode()


def compact(document: Document) -> bytes:
    """JSON without a byte that means nothing."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def texts(hashes: list[bytes]) -> list[str]:
    return [text(value) for value in hashes]


@dataclass
class SampleTransaction:
    """A transaction's bytes."""

    batch: int  # from 0
    place: int
    leaf: bytes
    items: list[bytes]


@dataclass
class SampleLog:
    """A log that grows batch by batch."""

    key: Ed25519PrivateKey = KEY
    records: list[bytes] = field(default_factory=list)
    batches: list[list[SampleTransaction]] = field(default_factory=list)
    transactions: list[SampleTransaction] = field(default_factory=list)

    @property
    def hashes(self) -> list[bytes]:
        return [leaf_hash(record) for record in self.records]

    def post(self, *headers: tuple[str, str, str], legs: int = 2, holds: int = 1, at: datetime = NOW) -> None:
        """A batch of transactions (kind, source, reference), each with so many legs and holds."""
        first = len(self.transactions) + 1
        batch = []
        for place, (kind, source, reference) in enumerate(headers):
            items = [
                encode_leg(leg, 10 + leg, 1, 50_000 * (-1) ** leg, first + place, 7_000_000 + leg, f"wire {leg} · ü")
                for leg in range(1, legs + 1)
            ]
            items += [encode_hold(position, 12, -5, 3, 20, "bond") for position in range(1, holds + 1)]
            leaf = encode_leaf(
                transaction_id=first + place,
                kind=kind,
                source=source,
                reference=reference,
                actor="user:olga",
                request_hash=bytes(range(32)),
                effective_at=MIDNIGHT if kind == "period_seal" else at,
                posted_at=at,
                reverses=None,
                legs=legs,
                holds=holds,
                items_root=tree_root([leaf_hash(item) for item in items]),
            )
            batch.append(SampleTransaction(len(self.records), place, leaf, items))
        self.transactions += batch
        self.batches.append(batch)
        self.records.append(
            batch_record(
                no=len(self.records) + 1,
                first_transaction=first,
                last_transaction=len(self.transactions),
                posted_at=at + timedelta(microseconds=1),
                root=tree_root([leaf_hash(transaction.leaf) for transaction in batch]),
                previous=self.hashes[-1] if self.records else GENESIS,
            )
        )

    def root(self, size: int) -> bytes:
        return tree_root(self.hashes[:size])

    def note(self, size: int | None = None) -> str:
        """The checkpoint of a size, the newest unless one is named."""
        size = len(self.records) if size is None else size
        return sign_note(checkpoint_text(ORIGIN, size, self.root(size)), ORIGIN, self.key)

    def transaction_proof(self, transaction: int, shown: tuple[int, ...] = (), size: int | None = None) -> Document:
        size = len(self.records) if size is None else size
        posted = self.transactions[transaction - 1]
        batch, record = self.batches[posted.batch], self.records[posted.batch]
        hashes = [leaf_hash(item) for item in posted.items]
        return {
            "type": "tokenbourse-transaction-proof/1",
            "transaction": {
                "leaf": text(posted.leaf),
                "decoded": decode_leaf(posted.leaf),
                "path": texts(inclusion_proof([leaf_hash(other.leaf) for other in batch], posted.place)),
            },
            "items": [
                {
                    "item": text(posted.items[index]),
                    "decoded": decode_item(posted.items[index]),
                    "index": index,
                    "path": texts(inclusion_proof(hashes, index)),
                }
                for index in shown
            ],
            "batch": {
                "record": text(record),
                "decoded": decode_batch(record),
                "path": texts(inclusion_proof(self.hashes[:size], posted.batch)),
            },
            "checkpoint": self.note(size),
        }

    def consistency_proof(self, first: int, second: int) -> Document:
        path = consistency_path(
            first, second, lambda level, position: tree_root(self.hashes[position << level : (position + 1) << level])
        )
        return {
            "type": "tokenbourse-consistency-proof/1",
            "first": self.note(first),
            "second": self.note(second),
            "path": texts(path),
        }

    def sealed_balance_proof(self, balances: list[SealedBalance], index: int, period: str = "2026-12-01") -> Document:
        """Seals balances in a batch of its own, and proves one of them."""
        hashes = [leaf_hash(balance.leaf()) for balance in balances]
        self.post(("period_seal", "seal", seal_reference(period, tree_root(hashes))), legs=0, holds=0, at=MIDNIGHT)
        path, place, width = [], index, len(balances)
        for sibling in inclusion_proof(hashes, index):
            while place == width - 1 and not place & 1:  # carried up without a sibling
                place, width = place // 2, (width + 1) // 2
            path.append({"left" if place & 1 else "right": text(sibling)})
            place, width = place // 2, (width + 1) // 2
        evidence = balances[index].evidence()
        return {
            "type": "tokenbourse-sealed-balance-proof/1",
            "period": period,
            "balance": {"leaf": text(evidence.data), "decoded": evidence.decoded, "path": path},
            "seal": self.transaction_proof(len(self.transactions)),
        }


def sample_log() -> SampleLog:
    """Seven batches of 1 to 3 transactions."""
    log = SampleLog()
    for batch in range(7):
        log.post(*(("deposit", "treasury", f"transfer/{batch}-{place}") for place in range(batch % 3 + 1)))
    return log
