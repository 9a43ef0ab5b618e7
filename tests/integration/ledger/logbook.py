"""A small ledger with a signing key, for tests of its log: Ada and Bob pay each other, batch by batch."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import psycopg
from django.db import transaction

from ledger import journal
from ledger.chart import AccountKey, Role
from ledger.drafts import HoldChange, Leg, TransactionDraft
from ledger.keys.ring import ensure_current_key, public_jwks
from ledger.leaf import batch_record, encode_hold, encode_leaf, encode_leg
from ledger.log.checkpoints import publish_checkpoint
from ledger.merkle import leaf_hash, tree_root
from ledger.models import Account, Checkpoint, PartyKind
from ledger.parties.commands import register_currency, register_party
from ledger.verify import Report, parse_jwks, verify
from tests.conftest import DatabaseUrls

NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)


class Logbook:
    """Batch 1 is the first signing key's."""

    def __init__(self) -> None:
        self.currency = register_currency("CNY", actor="test", now=NOW).id
        self.house, self.ada, self.bob, self.eve = (
            register_party(code, code, kind, actor="test", now=NOW).id
            for code, kind in (
                ("house", PartyKind.HOUSE),
                ("ada", PartyKind.BUYER),
                ("bob", PartyKind.BUYER),
                ("eve", PartyKind.BUYER),
            )
        )
        ensure_current_key(actor="test", now=NOW, entropy=lambda size: bytes(range(size)))
        self._drafts = 0

    def cash(self, party: int) -> AccountKey:
        return AccountKey(party, self.currency, Role.CASH)

    def account(self, party: int) -> int:
        return Account.objects.values_list("id", flat=True).get(party_id=party, role=Role.CASH)

    def draft(self, *legs: Leg, holds: tuple[HoldChange, ...] = ()) -> TransactionDraft:
        self._drafts += 1
        return TransactionDraft("test", "test", f"draft {self._drafts}", NOW, legs, holds)

    def deposit(self, party: int, amount: int) -> TransactionDraft:
        external = AccountKey(self.house, self.currency, Role.EXTERNAL)
        return self.draft(Leg(external, -amount, "in"), Leg(self.cash(party), amount, "einzahlung · ü"))

    def pay(self, amount: int) -> TransactionDraft:
        return self.draft(
            Leg(self.cash(self.ada), -amount, "paid"),
            Leg(self.cash(self.bob), amount, "got"),
            holds=(HoldChange(self.cash(self.bob), 1, "bond"),),
        )

    def post(self, *drafts: TransactionDraft, now: datetime = NOW) -> list[int]:
        """Post a batch; returns its transactions' numbers."""
        with transaction.atomic():
            return [posted.transaction_id for posted in journal.post(drafts, actor="test", now=now)]

    def trade(self, batches: int, now: datetime = NOW) -> None:
        """Ada is given money and pays Bob, one batch after the other."""
        for number in range(batches):
            if number % 3:
                self.post(self.pay(number), self.pay(1), now=now)
            else:
                self.post(self.deposit(self.ada, 1_000), now=now)

    def publish(self) -> Checkpoint:
        checkpoint = publish_checkpoint(now=NOW)
        assert checkpoint is not None
        return checkpoint


def check(document: dict[str, Any] | str, trusted: str | None = None) -> Report:
    """What the offline verifier says to a proof or checkpoint, with the published keys."""
    data = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    keys = parse_jwks(json.dumps(public_jwks()).encode())
    return verify(data.encode(), keys, None if trusted is None else trusted.encode())


class Forger:
    """The owner of the database, who turns its triggers off, rewrites what it wants, and turns them on again."""

    TABLES = ("entry", "transaction", "batch", "lognode", "checkpoint", "ledgerhead")

    def __init__(self, database: DatabaseUrls) -> None:
        self._connection = psycopg.connect(database.owner_url, autocommit=True)

    def __enter__(self) -> Forger:
        self._turn_triggers("DISABLE")
        return self

    def __exit__(self, *_: object) -> None:
        self._turn_triggers("ENABLE")
        self._connection.close()

    def _turn_triggers(self, how: str) -> None:
        for table in self.TABLES:
            self._connection.execute(f"ALTER TABLE ledger_{table} {how} TRIGGER USER")

    def execute(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []

    def rewrite_ref(self, transaction_id: int, ref: str) -> int:
        """Change a leg's text, the transaction's leaf and its batch's root; returns the batch's number."""
        self.execute("UPDATE ledger_entry SET ref = %s WHERE transaction_id = %s AND leg = 1", ref, transaction_id)
        legs = self.execute(
            "SELECT leg, account_id, asset_id, amount, account_seq, balance_after, ref FROM ledger_entry"
            " WHERE transaction_id = %s ORDER BY leg",
            transaction_id,
        )
        holds = self.execute(
            "SELECT position, account_id, delta, hold_seq, held_after, ref FROM ledger_holdentry"
            " WHERE transaction_id = %s ORDER BY position",
            transaction_id,
        )
        items = [encode_leg(*row) for row in legs] + [encode_hold(*row) for row in holds]
        ((batch_no, kind, source, reference, actor, request_hash, effective_at, posted_at, reverses),) = self.execute(
            "SELECT batch_no, kind, source, reference, actor, request_hash, effective_at, posted_at, reverses"
            " FROM ledger_transaction WHERE id = %s",
            transaction_id,
        )
        leaf = encode_leaf(
            transaction_id=transaction_id,
            kind=kind,
            source=source,
            reference=reference,
            actor=actor,
            request_hash=request_hash,
            effective_at=effective_at,
            posted_at=posted_at,
            reverses=reverses,
            legs=len(legs),
            holds=len(holds),
            items_root=tree_root([leaf_hash(item) for item in items]),
        )
        self.execute("UPDATE ledger_transaction SET leaf = %s WHERE id = %s", leaf_hash(leaf), transaction_id)
        leaves = self.execute("SELECT leaf FROM ledger_transaction WHERE batch_no = %s ORDER BY id", batch_no)
        self.execute("UPDATE ledger_batch SET root = %s WHERE no = %s", tree_root([row[0] for row in leaves]), batch_no)
        return int(batch_no)

    def chain_again(self, from_no: int) -> None:
        """Make the records of a batch and of all after it follow from each other again."""
        rows = self.execute(
            "SELECT no, first_transaction, last_transaction, posted_at, root, previous FROM ledger_batch"
            " WHERE no >= %s ORDER BY no",
            from_no,
        )
        previous = rows[0][5]
        for no, first, last, posted_at, root, _ in rows:
            record = batch_record(
                no=no,
                first_transaction=first,
                last_transaction=last,
                posted_at=posted_at,
                root=root,
                previous=previous,
            )
            hashed = leaf_hash(record)
            self.execute("UPDATE ledger_batch SET previous = %s, hash = %s WHERE no = %s", previous, hashed, no)
            previous = hashed
        self.execute("UPDATE ledger_ledgerhead SET last_batch_hash = %s", previous)

    def grow_tree_again(self) -> None:
        """Make every node of the log's tree follow from the batches again."""
        (hashes,) = zip(*self.execute("SELECT hash FROM ledger_batch ORDER BY no"), strict=True)
        for level, position in self.execute("SELECT level, position FROM ledger_lognode"):
            node = tree_root(hashes[position << level : (position + 1) << level])
            self.execute(
                "UPDATE ledger_lognode SET hash = %s WHERE level = %s AND position = %s", node, level, position
            )
