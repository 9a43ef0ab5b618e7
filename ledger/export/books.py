"""What the formats for accounting tools share: the viewpoint, the order of days, and what a file says of itself.

The viewpoint is that of all parties, one beside the other: what a party has is an asset and positive, what it owes is
a liability and negative, and all money came from outside, which is equity and negative. That is how the ledger signs
its amounts, so they stand in a file as they are, and every transaction sums to 0 in each commodity without prices.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Protocol

from ledger.chart import Role
from ledger.selectors.journal import AccountBalance, JournalTransaction

_NOT_ASSETS = {Role.DEBT: "liabilities", Role.OBLIGATION: "liabilities", Role.EXTERNAL: "equity"}


class Journal(Protocol):
    """A stretch of the journal; `ledger.selectors.journal.Extract` is one."""

    @property
    def after(self) -> int: ...
    @property
    def through(self) -> int: ...
    @property
    def start(self) -> datetime | None: ...
    @property
    def end(self) -> datetime | None: ...
    @property
    def batch_no(self) -> int: ...
    @property
    def batch_hash(self) -> bytes: ...
    def opening(self) -> Iterable[AccountBalance]: ...
    def transactions(self) -> Iterable[JournalTransaction]: ...
    def closing(self) -> Iterable[AccountBalance]: ...


class Days:
    """The days that transactions are dated with.

    It is the day of posting, but never before that of the transaction before: a clock may have gone back over
    midnight, and a file's order is that of the numbers.
    """

    def __init__(self, start: datetime | None) -> None:
        self.last = date.min if start is None else start.date()

    def of(self, posted: JournalTransaction) -> date:
        """The day of the next transaction in order; `last` is then that day."""
        self.last = max(self.last, posted.posted_at.date())
        return self.last


def book_type(role: str) -> str:
    """assets, liabilities or equity, from the viewpoint of all parties."""
    return _NOT_ASSETS.get(Role(role), "assets")


def opening_day(start: datetime) -> date:
    """The day that opening balances are dated with: the one before the stretch begins."""
    return start.date() - timedelta(days=1)


def about(journal: Journal) -> Iterator[str]:
    """What a file says of itself, line by line."""
    if journal.through == journal.after:
        yield "The journal of the market: no transactions."
    else:
        yield f"The journal of the market: transactions {journal.after + 1} to {journal.through}."
    if journal.start is not None:
        yield f"Posted from {journal.start.isoformat()} on."
    if journal.end is not None:
        yield f"Posted before {journal.end.isoformat()}."
    if journal.batch_no:
        yield f"It ends with batch {journal.batch_no}, whose hash in the ledger's log is"
        yield f"{journal.batch_hash.hex()}."
    yield ""
    yield "These are the books of all parties, one beside the other. What a party has is an asset and positive, what it"
    yield "owes is a liability and negative; all money came from outside, which is equity and negative. So every amount"
    yield "stands here as the ledger signs it, and every transaction sums to 0 in each commodity, without prices."
    yield "Transactions without postings moved no money and no tokens; they are here so that no number is missing."


def end_line(transactions: int, entries: int) -> str:
    """The last line, so that a file which was cut off is seen to be."""
    return f"End of the journal: {transactions} transactions, {entries} entries."
