"""LEAF_FORMAT.md is what the code does: its worked example is made again, byte by byte."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from config.environment import CHECKOUT
from ledger.leaf import GENESIS, batch_record, encode_hold, encode_leaf, encode_leg
from ledger.log import periods, seals
from ledger.log.note import checkpoint_text, sign_note, verifier_key
from ledger.log.seals import SealedBalance, seal_reference
from ledger.merkle import EMPTY_ROOT, inclusion_proof, leaf_hash, tree_root
from ledger.verify import decode_batch, decode_item, decode_leaf, decode_sealed_balance, parse_vkey, verify

DOCUMENT = (CHECKOUT / "ledger" / "LEAF_FORMAT.md").read_text(encoding="utf-8")
ORIGIN = "ledger.example/log"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
POSTED = datetime(2026, 12, 1, 10, tzinfo=UTC)
SEALED = datetime(2026, 12, 2, 0, 5, tzinfo=UTC)

LEGS = [
    encode_leg(1, 11, 1, -50_000_000, 1, -50_000_000, "wire 77"),
    encode_leg(2, 12, 1, 50_000_000, 1, 50_000_000, "wire 77"),
]
HOLD = encode_hold(1, 12, 20_000_000, 1, 20_000_000, "order 5")
ITEMS = [*LEGS, HOLD]
ITEMS_ROOT = tree_root([leaf_hash(item) for item in ITEMS])
LEAF = encode_leaf(
    transaction_id=1,
    kind="deposit",
    source="treasury",
    reference="transfer/1",
    actor="user:otto",
    request_hash=bytes(range(32)),
    effective_at=POSTED,
    posted_at=POSTED,
    reverses=None,
    legs=2,
    holds=1,
    items_root=ITEMS_ROOT,
)
BATCH_1 = batch_record(
    no=1, first_transaction=1, last_transaction=1, posted_at=POSTED, root=leaf_hash(LEAF), previous=GENESIS
)
BALANCES = [SealedBalance(11, 1, 1, -50_000_000, 0, 0), SealedBalance(12, 1, 1, 50_000_000, 1, 20_000_000)]
SEAL_ROOT = tree_root([leaf_hash(balance.leaf()) for balance in BALANCES])
SEAL = encode_leaf(
    transaction_id=2,
    kind=seals.KIND,
    source=seals.SOURCE,
    reference=seal_reference("2026-12-01", SEAL_ROOT),
    actor="ledger",
    request_hash=bytes(range(32, 64)),
    effective_at=periods.parse_period("2026-12-01").ends_at,
    posted_at=SEALED,
    reverses=None,
    legs=0,
    holds=0,
    items_root=EMPTY_ROOT,
)
BATCH_2 = batch_record(
    no=2, first_transaction=2, last_transaction=2, posted_at=SEALED, root=leaf_hash(SEAL), previous=leaf_hash(BATCH_1)
)
LOG = [leaf_hash(BATCH_1), leaf_hash(BATCH_2)]
NOTE = sign_note(checkpoint_text(ORIGIN, 2, tree_root(LOG)), ORIGIN, KEY)
VKEY = verifier_key(ORIGIN, KEY.public_key().public_bytes_raw())

EXAMPLE = {
    "leg 1": LEGS[0],
    "leg 1 hash": leaf_hash(LEGS[0]),
    "leg 2": LEGS[1],
    "leg 2 hash": leaf_hash(LEGS[1]),
    "hold 1": HOLD,
    "hold 1 hash": leaf_hash(HOLD),
    "items root": ITEMS_ROOT,
    "leaf": LEAF,
    "leaf hash": leaf_hash(LEAF),
    "batch 1": BATCH_1,
    "batch 1 hash": leaf_hash(BATCH_1),
    "balance of account 11": BALANCES[0].leaf(),
    "balance of account 12": BALANCES[1].leaf(),
    "seal root": SEAL_ROOT,
    "seal leaf": SEAL,
    "seal leaf hash": leaf_hash(SEAL),
    "batch 2": BATCH_2,
    "batch 2 hash": leaf_hash(BATCH_2),
    "log root": tree_root(LOG),
}


def stated() -> dict[str, bytes]:
    """The bytes that the document writes out, by name."""
    found = re.findall(r"^([a-z0-9 ]+):((?:\s+[0-9a-f]+)+)$", DOCUMENT, re.MULTILINE)
    return {name: bytes.fromhex("".join(digits.split())) for name, digits in found}


@pytest.mark.parametrize("name", EXAMPLE)
def test_the_example_in_the_document_is_what_the_code_makes(name: str) -> None:
    assert stated()[name] == EXAMPLE[name]


def test_nothing_else_is_written_out_and_the_checkpoint_and_key_are_there() -> None:
    assert stated().keys() == EXAMPLE.keys()
    assert NOTE in DOCUMENT
    assert VKEY in DOCUMENT


def test_the_proof_in_the_document_verifies_with_the_key_in_the_document() -> None:
    (text,) = re.findall(r"^```json\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    report = verify(text.encode(), [parse_vkey(VKEY)], NOTE.encode())
    assert report.ok, report.text()
    hashes = [leaf_hash(item) for item in ITEMS]
    shown = json.loads(text)["items"]
    assert [item["index"] for item in shown] == [1, 2]
    assert [len(item["path"]) for item in shown] == [len(inclusion_proof(hashes, index)) for index in (1, 2)]


def test_the_field_tables_name_every_field_that_the_verifier_reads() -> None:
    for decoded in (
        decode_leaf(LEAF),
        *map(decode_item, ITEMS),
        decode_batch(BATCH_1),
        decode_sealed_balance(BALANCES[0].leaf()),
    ):
        for name in decoded:
            assert f"`{name}`" in DOCUMENT, name
