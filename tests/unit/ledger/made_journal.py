"""Journals that no database has seen, for the export formats."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ledger.chart import AssetKind, Role
from ledger.selectors.journal import AccountBalance, JournalAccount, JournalEntry, JournalTransaction

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
SYMBOL = "QWEN3-235B.CN-EAST.STD@20261201T14/1H"

EXTERNAL = JournalAccount(1, "house", Role.EXTERNAL, "", 1, "CNY", AssetKind.CURRENCY, None)
ADA = JournalAccount(2, "ada", Role.CASH, "", 1, "CNY", AssetKind.CURRENCY, None)
ESCROW = JournalAccount(3, "house", Role.ESCROW, SYMBOL, 1, "CNY", AssetKind.CURRENCY, 12)
SOLD = JournalAccount(4, "acme", Role.OBLIGATION, "", 12, SYMBOL, AssetKind.CONTRACT, None)
BOUGHT = JournalAccount(5, "ada", Role.ENTITLEMENT, "", 12, SYMBOL, AssetKind.CONTRACT, None)
CLAIM = JournalAccount(6, "acme", Role.CLAIM, "ada/held_share", 1, "CNY", AssetKind.CURRENCY, None)
PLAIN_CLAIM = JournalAccount(7, "acme", Role.CLAIM, "", 1, "CNY", AssetKind.CURRENCY, None)
DEBT = JournalAccount(8, "ada", Role.DEBT, "", 1, "CNY", AssetKind.CURRENCY, None)


@dataclass(frozen=True)
class Draft:
    """What is to be posted: legs are (account, amount, ref)."""

    legs: Sequence[tuple[JournalAccount, int, str]]
    kind: str = "trade"
    at: datetime = NOON
    effective_at: datetime | None = None
    source: str = "tests"
    reference: str = ""
    actor: str = "ada"
    reverses: int | None = None


@dataclass(frozen=True)
class MadeJournal:
    """All transactions there are, and which of them are asked for."""

    posted: Sequence[JournalTransaction]
    after: int = 0
    start: datetime | None = None
    end: datetime | None = None
    batch_hash: bytes = b"\xab" * 32

    @property
    def through(self) -> int:
        return len(self.posted)

    @property
    def batch_no(self) -> int:
        return self.posted[-1].batch_no if self.posted else 0

    def opening(self) -> Iterator[AccountBalance]:
        return (each for each in self._balances(self.after) if each.balance)

    def transactions(self) -> Iterator[JournalTransaction]:
        return iter(self.posted[self.after :])

    def closing(self) -> Iterator[AccountBalance]:
        return self._balances(self.through)

    def _balances(self, through: int) -> Iterator[AccountBalance]:
        entries = (entry for posted in self.posted[:through] for entry in posted.entries)
        last = {entry.account: entry.balance_after for entry in entries}
        for account in sorted(last, key=lambda account: account.id):
            yield AccountBalance(account, last[account])


def post(drafts: Iterable[Draft]) -> list[JournalTransaction]:
    """The drafts with their numbers and running balances."""
    balances: defaultdict[JournalAccount, int] = defaultdict(int)
    posted = []
    for number, draft in enumerate(drafts, start=1):
        entries = []
        for leg, (account, amount, ref) in enumerate(draft.legs, start=1):
            balances[account] += amount
            entries.append(JournalEntry(leg, account, amount, balances[account], ref))
        posted.append(
            JournalTransaction(
                number=number,
                batch_no=number,
                kind=draft.kind,
                source=draft.source,
                reference=draft.reference or f"r{number}",
                actor=draft.actor,
                effective_at=draft.effective_at or draft.at,
                posted_at=draft.at,
                reverses=draft.reverses,
                entries=tuple(entries),
            )
        )
    return posted
