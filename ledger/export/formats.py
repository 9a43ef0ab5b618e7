"""The formats of the journal by name. A file of one is called journal.NAME."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from ledger.export.beancount_journal import write_beancount
from ledger.export.books import Journal
from ledger.export.csv_journal import write_csv
from ledger.export.hledger_journal import write_hledger

WRITERS: dict[str, Callable[[Journal, TextIO], int]] = {
    "beancount": write_beancount,
    "csv": write_csv,
    "hledger": write_hledger,
}


def write_file(journal: Journal, name: str, path: Path) -> int:
    """Write a stretch of the journal in a format; returns the number of entries.

    A regular file appears when it is complete: one that was cut off between two transactions would lack the assertions
    that would tell. Raises `OSError`.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():  # a device or a pipe
        return _write(journal, name, target)
    unfinished = target.with_name(f"{target.name}.unfinished")
    try:
        entries = _write(journal, name, unfinished)
        unfinished.replace(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return entries


def _write(journal: Journal, name: str, path: Path) -> int:
    with path.open("w", encoding="utf-8", newline="") as file:
        return WRITERS[name](journal, file)
