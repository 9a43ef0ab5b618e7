"""Reading entries and transactions, as far as some parties may: their own legs and holds, never the other side's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from ledger.chart import AssetKind
from ledger.errors import NotFound
from ledger.models import Account, Entry, HoldEntry, Transaction


@dataclass(frozen=True, slots=True)
class Line:
    """An entry or a hold entry with its account and transaction. `number` is its place in the account, from 1.

    `amount` is what it adds and `after` where the account then stands; `leg` its place in the transaction. `posted` is
    None for what was held before there was evidence of it.
    """

    account: Account
    number: int
    posted: Transaction | None
    leg: int
    amount: int
    after: int
    ref: str

    @property
    def in_money(self) -> bool:
        return self.account.asset.kind == AssetKind.CURRENCY


@dataclass(frozen=True, slots=True)
class PostedTransaction:
    """A transaction with those of its legs and hold changes that the reader may see."""

    posted: Transaction
    reversed_by: int | None
    legs: list[Line]
    holds: list[Line]


def entry_lines(rows: Sequence[Entry]) -> list[Line]:
    """Entries with their accounts and transactions, in their order."""
    accounts, posted = _accounts(rows), _posted(rows)
    return [
        Line(
            accounts[row.account_id],
            row.account_seq,
            posted[row.transaction_id],
            row.leg,
            row.amount,
            row.balance_after,
            row.ref,
        )
        for row in rows
    ]


def hold_lines(rows: Sequence[HoldEntry]) -> list[Line]:
    """Hold entries with their accounts and transactions, in their order."""
    accounts, posted = _accounts(rows), _posted(rows)
    return [
        Line(
            accounts[row.account_id],
            row.hold_seq,
            posted.get(row.transaction_id),
            row.position,
            row.delta,
            row.held_after,
            row.ref,
        )
        for row in rows
    ]


def transactions_of(party_ids: Collection[int] | None) -> QuerySet[Transaction]:
    """The transactions that moved or held something on an account of these parties, or all there are.

    For some parties it reads all of their entries: work that grows with their own history, not with the journal.
    """
    if party_ids is None:
        return Transaction.objects.all()
    accounts = Account.objects.filter(party_id__in=party_ids).values("id")
    moved = Entry.objects.filter(account_id__in=accounts).values("transaction_id")
    held = HoldEntry.objects.filter(account_id__in=accounts).values("transaction_id")
    return Transaction.objects.filter(id__in=moved.union(held, all=True))


def get_transaction(number: int, party_ids: Collection[int] | None) -> PostedTransaction:
    """A transaction as these parties may see it; whole for None.

    Raises `NotFound` when there is none, and when it touches no account of theirs.
    """
    posted = Transaction.objects.filter(id=number).first()
    nothing = NotFound(f"There is no transaction {number}, or none of yours.", transaction=str(number))
    if posted is None:
        raise nothing
    entries = Entry.objects.filter(transaction_id=number).order_by("leg")
    holds = HoldEntry.objects.filter(transaction_id=number).order_by("position")
    if party_ids is not None:
        accounts = Account.objects.filter(party_id__in=party_ids).values("id")
        entries, holds = entries.filter(account_id__in=accounts), holds.filter(account_id__in=accounts)
    legs, changes = entry_lines(list(entries)), hold_lines(list(holds))
    if party_ids is not None and not legs and not changes:
        raise nothing
    reversed_by = Transaction.objects.filter(reverses=number).values_list("id", flat=True).first()
    return PostedTransaction(posted, reversed_by, legs, changes)


def reversals_of(numbers: Iterable[int]) -> dict[int, int]:
    """Which transactions were reversed, and by which."""
    reversals = Transaction.objects.filter(reverses__in=list(numbers)).values_list("reverses", "id")
    return {number: reversal for number, reversal in reversals if number is not None}


def _accounts(rows: Sequence[Entry | HoldEntry]) -> dict[int, Account]:
    return Account.objects.select_related("party", "asset").in_bulk({row.account_id for row in rows})


def _posted(rows: Sequence[Entry | HoldEntry]) -> dict[int, Transaction]:
    return Transaction.objects.in_bulk({row.transaction_id for row in rows})
