"""The journal as CSV: one row an entry, in posting order. The same journal always gives the same bytes."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import TextIO

from ledger.chart import AssetKind
from ledger.money import format_micros
from ledger.selectors.journal import JournalLine

COLUMNS = (
    "transaction", "leg", "batch", "kind", "source", "reference", "actor", "effective_at", "posted_at",
    "party", "role", "qualifier", "asset", "amount", "balance_after", "ref",
)  # fmt: skip


def write_csv(lines: Iterable[JournalLine], file: TextIO) -> int:
    """Write a header and a row an entry; returns the number of entries.

    Currencies are decimal strings with six fraction digits, contract tokens whole numbers, times UTC.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for line in lines:
        writer.writerow(
            (
                line.transaction_id,
                line.leg,
                line.batch_no,
                line.kind,
                line.source,
                line.reference,
                line.actor,
                line.effective_at.isoformat(),
                line.posted_at.isoformat(),
                line.party,
                line.role,
                line.qualifier,
                line.asset,
                _amount(line, line.amount),
                _amount(line, line.balance_after),
                line.ref,
            )
        )
        count += 1
    return count


def _amount(line: JournalLine, amount: int) -> str:
    return format_micros(amount) if line.asset_kind == AssetKind.CURRENCY else str(amount)
