"""The bytes that were hashed when a transaction was posted, made again from its rows, and in words.

The words are the `decoded` members of proofs: ids and numbers as JSON integers, amounts as integer strings in the
smallest unit of the account's asset, instants in UTC with microseconds, hashes as hex.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ledger.errors import NotFound
from ledger.leaf import VERSION, batch_record, encode_hold, encode_leaf, encode_leg, format_instant
from ledger.log.errors import EvidenceBroken
from ledger.merkle import leaf_hash, tree_root
from ledger.models import Account, Batch, Entry, HoldEntry, Transaction


@dataclass(frozen=True, slots=True)
class Evidence:
    """Bytes, and what they say."""

    data: bytes
    decoded: dict[str, Any]

    @property
    def hash(self) -> bytes:
        return leaf_hash(self.data)


@dataclass(frozen=True, slots=True)
class Item:
    """A leg or hold change of a transaction, as evidence."""

    account_id: int
    evidence: Evidence


def get_transaction(transaction_id: int) -> Transaction:
    """A transaction by its number. Raises `NotFound`."""
    posted = Transaction.objects.filter(id=transaction_id).first()
    if posted is None:
        raise NotFound(f"There is no transaction {transaction_id}.", transaction=str(transaction_id))
    return posted


def items_of(transaction_id: int) -> list[Item]:
    """The items of a transaction in their order: legs, then hold changes."""
    legs = Entry.objects.filter(transaction_id=transaction_id).order_by("leg")
    holds = HoldEntry.objects.filter(transaction_id=transaction_id).order_by("position")
    return [*map(_leg, legs), *map(_hold, holds)]


def leaf_of(posted: Transaction, items: list[Item]) -> Evidence:
    """A transaction's leaf. Raises `EvidenceBroken` if it is not the one that was posted."""
    holds = sum(item.evidence.decoded["item"] == "hold" for item in items)
    root = tree_root([item.evidence.hash for item in items])
    data = encode_leaf(
        transaction_id=posted.id,
        kind=posted.kind,
        source=posted.source,
        reference=posted.reference,
        actor=posted.actor,
        request_hash=bytes(posted.request_hash),
        effective_at=posted.effective_at,
        posted_at=posted.posted_at,
        reverses=posted.reverses,
        legs=len(items) - holds,
        holds=holds,
        items_root=root,
    )
    decoded = {
        "version": VERSION,
        "transaction": posted.id,
        "kind": posted.kind,
        "source": posted.source,
        "reference": posted.reference,
        "actor": posted.actor,
        "request_hash": bytes(posted.request_hash).hex(),
        "effective_at": format_instant(posted.effective_at),
        "posted_at": format_instant(posted.posted_at),
        "reverses": posted.reverses,
        "legs": len(items) - holds,
        "holds": holds,
        "items_root": root.hex(),
    }
    leaf = Evidence(data, decoded)
    if leaf.hash != bytes(posted.leaf):
        raise EvidenceBroken(
            f"The rows of transaction {posted.id} do not give the hash that was recorded when it was posted.",
            transaction=str(posted.id),
        )
    return leaf


def batch_of(no: int) -> Evidence:
    """A batch's record. Raises `EvidenceBroken` if it is not the one that was posted."""
    batch = Batch.objects.get(no=no)
    data = batch_record(
        no=batch.no,
        first_transaction=batch.first_transaction,
        last_transaction=batch.last_transaction,
        posted_at=batch.posted_at,
        root=bytes(batch.root),
        previous=bytes(batch.previous),
    )
    decoded = {
        "version": VERSION,
        "no": batch.no,
        "first_transaction": batch.first_transaction,
        "last_transaction": batch.last_transaction,
        "posted_at": format_instant(batch.posted_at),
        "root": bytes(batch.root).hex(),
        "previous": bytes(batch.previous).hex(),
    }
    record = Evidence(data, decoded)
    if record.hash != bytes(batch.hash):
        raise EvidenceBroken(f"The row of batch {no} does not give the hash that was recorded with it.", batch=str(no))
    return record


def accounts_of_party(party_id: int, items: list[Item]) -> set[int]:
    """Which of the items' accounts belong to a party."""
    wanted = {item.account_id for item in items}
    return set(Account.objects.filter(party_id=party_id, id__in=wanted).values_list("id", flat=True))


def _leg(row: Entry) -> Item:
    data = encode_leg(row.leg, row.account_id, row.asset_id, row.amount, row.account_seq, row.balance_after, row.ref)
    decoded = {
        "item": "leg",
        "leg": row.leg,
        "account": row.account_id,
        "asset": row.asset_id,
        "amount": str(row.amount),
        "account_seq": row.account_seq,
        "balance_after": str(row.balance_after),
        "ref": row.ref,
    }
    return Item(row.account_id, Evidence(data, decoded))


def _hold(row: HoldEntry) -> Item:
    data = encode_hold(row.position, row.account_id, row.delta, row.hold_seq, row.held_after, row.ref)
    decoded = {
        "item": "hold",
        "position": row.position,
        "account": row.account_id,
        "delta": str(row.delta),
        "hold_seq": row.hold_seq,
        "held_after": str(row.held_after),
        "ref": row.ref,
    }
    return Item(row.account_id, Evidence(data, decoded))
