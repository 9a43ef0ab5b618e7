"""A house, two parties and a currency, and SQL as somebody would type it who goes around the posting door."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction

from ledger import journal
from ledger.chart import AccountKey, Role
from ledger.drafts import HoldChange, Leg, TransactionDraft
from ledger.models import Account, PartyKind
from ledger.parties.commands import register_currency, register_party

NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)


class Books:
    """A house, two buyers and a currency."""

    def __init__(self) -> None:
        self.currency = register_currency("CNY", actor="test", now=NOW).id
        self.house, self.ada, self.bob = (
            register_party(code, code, kind, actor="test", now=NOW).id
            for code, kind in (("house", PartyKind.HOUSE), ("ada", PartyKind.BUYER), ("bob", PartyKind.BUYER))
        )

    def cash(self, party: int) -> AccountKey:
        return AccountKey(party, self.currency, Role.CASH)

    def deposit(self, party: int, amount: int, reference: str) -> TransactionDraft:
        external = AccountKey(self.house, self.currency, Role.EXTERNAL)
        return self.draft(reference, Leg(external, -amount), Leg(self.cash(party), amount))

    def draft(self, reference: str, *legs: Leg, holds: tuple[HoldChange, ...] = ()) -> TransactionDraft:
        return TransactionDraft("test", "test", reference, NOW, legs, holds)

    def move(self, reference: str, amount: int) -> TransactionDraft:
        return self.draft(reference, Leg(self.cash(self.ada), -amount), Leg(self.cash(self.bob), amount))

    def hold(self, reference: str, party: int, delta: int) -> TransactionDraft:
        return self.draft(reference, holds=(HoldChange(self.cash(party), delta),))

    def balance(self, party: int) -> tuple[int, int]:
        account = self.account(party)
        return account.balance, account.held

    def account(self, party: int) -> Account:
        return Account.objects.get(party_id=party, role=Role.CASH)


def post(*drafts: TransactionDraft) -> tuple[journal.Posted, ...]:
    with transaction.atomic():
        return journal.post(drafts, actor="test", now=NOW)


@dataclass(frozen=True, slots=True)
class EntrySql:
    """A row for ledger_entry."""

    transaction: int
    account: int
    seq: int
    leg: int
    asset: int
    amount: int
    after: int


def enter(*entries: EntrySql, run: Any = None) -> None:
    """INSERT the entries in one statement, on Django's connection or by `run`."""
    rows = ", ".join(
        f"({e.account}, {e.seq}, {e.transaction}, {e.leg}, {e.asset}, {e.amount}, {e.after}, '')" for e in entries
    )
    sql(
        "INSERT INTO ledger_entry (account_id, account_seq, transaction_id, leg, asset_id, amount, balance_after, ref)"
        f" VALUES {rows}",
        run=run,
    )


def hold(
    account: int, seq: int, transaction_id: int, delta: int, after: int, *, position: int = 1, run: Any = None
) -> None:
    """INSERT a hold entry, on Django's connection or by `run`."""
    sql(
        "INSERT INTO ledger_holdentry (account_id, hold_seq, transaction_id, position, delta, held_after, ref)"
        f" VALUES ({account}, {seq}, {transaction_id}, {position}, {delta}, {after}, '')",
        run=run,
    )


def seal(
    *leg_counts: int,
    version: int,
    reverses: int = 0,
    root: str = "00" * 32,
    leaf: str = "11" * 32,
    at: datetime | str = NOW,
    effective: str = "2026-12-01Z",
    run: Any = None,
) -> None:
    """Seal transactions with so many legs each, on Django's connection or by `run`."""
    n = len(leg_counts)
    digests = f"array_fill(decode('{leaf}', 'hex'), ARRAY[{n}])"
    sql(
        f"SELECT ledger_seal({version}, 'mallory', '{at}', decode('{root}', 'hex'),"
        f" array_fill('t'::text, ARRAY[{n}]),"
        f" array_fill('sql'::text, ARRAY[{n}]), (SELECT array_agg('r{version}-' || i) FROM generate_series(1, {n}) i),"
        f" {digests}, array_fill('{effective}'::timestamptz, ARRAY[{n}]),"
        f" ARRAY[{', '.join(map(str, leg_counts))}]::int[],"
        f" array_fill({reverses}::bigint, ARRAY[{n}]), {digests})",
        run=run,
    )


def sql(statement: str, *, run: Any = None) -> None:
    """Run a statement as the application role, or by `run`."""
    if run is not None:
        run(statement)
        return
    with connection.cursor() as cursor:
        cursor.execute(statement)
