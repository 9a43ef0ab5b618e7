"""The journal as CSV: one row an entry, in posting order. The same journal always gives the same bytes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import TextIO

from ledger.export.books import Journal
from ledger.selectors.journal import JournalEntry

COLUMNS = (
    "transaction", "leg", "batch", "kind", "source", "reference", "actor", "effective_at", "posted_at",
    "party", "role", "qualifier", "asset", "amount", "balance_after", "ref", "reverses",
)  # fmt: skip
OPENING = "opening_balance"


def write_csv(journal: Journal, file: TextIO) -> int:
    """Write a header and a row an entry; returns the number of entries.

    Currencies are decimal strings with six fraction digits, contract tokens whole numbers, times UTC. The balances
    that a stretch begins with come first, as rows of transaction 0. Transactions without entries have no row.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_opening_rows(journal))
    count = 0
    for posted in journal.transactions():
        head = (
            posted.batch_no, posted.kind, posted.source, posted.reference, posted.actor,
            posted.effective_at.isoformat(), posted.posted_at.isoformat(),
        )  # fmt: skip
        reverses = "" if posted.reverses is None else posted.reverses
        for entry in posted.entries:
            writer.writerow((posted.number, entry.leg, *head, *_entry_fields(entry), reverses))
        count += len(posted.entries)
    return count


def _opening_rows(journal: Journal) -> Iterator[tuple[object, ...]]:
    if journal.start is None:
        return
    at = journal.start.isoformat()
    for leg, each in enumerate(journal.opening(), start=1):
        entry = JournalEntry(leg, each.account, each.balance, each.balance, "")
        yield (0, leg, 0, OPENING, "", "", "", at, at, *_entry_fields(entry), "")


def _entry_fields(entry: JournalEntry) -> tuple[str, ...]:
    account = entry.account
    amount, balance_after = account.format(entry.amount), account.format(entry.balance_after)
    return (account.party, account.role, account.qualifier, account.asset, amount, balance_after, entry.ref)
