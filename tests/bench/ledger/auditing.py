"""Entries a second through the whole audit, and whether its memory stays flat."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from django.db import connection, connections

from tests.bench.figures import Figure, measured
from tests.bench.ledger.audit_process import AuditOutcome, audit_elsewhere
from tests.bench.ledger.books import STEPS, Books, open_books
from tests.bench.ledger.writer import Publisher, Writer
from tests.bench.parts import Bench, BenchFailed, Database, rounds

LEGS = 4


@dataclass(frozen=True, slots=True)
class Sizes:
    """Memory is compared between `few` entries and `many`; the speed is that over `many`."""

    accounts: int = 10_000
    few: int = 100_000
    many: int = 1_000_000
    batch: int = 500
    rounds: int = 5
    seconds: float = 60
    checkpoint_seconds: float = 2.0


def measure_audit(bench: Bench, sizes: Sizes = Sizes()) -> list[Figure]:
    """`ledger.audit_entries_per_s` and `ledger.audit_peak_mib`."""
    with bench.fresh_database() as database:
        with bench.progress("ledger: accounts", STEPS * sizes.accounts) as advance:
            books = open_books(sizes.accounts, advance)
        with bench.progress("ledger: entries to audit", sizes.many // LEGS) as advance:
            journal = _Journal(books, sizes)
            for _ in range(0, sizes.few // LEGS, sizes.batch):
                advance(journal.grow())
            small = _audit(database)
            for _ in range(sizes.few // LEGS, sizes.many // LEGS, sizes.batch):
                advance(journal.grow())
        _vacuum()
        audits, sums = [], []
        with bench.progress("ledger: audits", sizes.rounds) as advance:
            for _ in rounds(sizes.rounds, sizes.seconds):
                sums.append(_sum_entries())
                audits.append(_audit(database))
                advance()
    return _figures(small, audits, sums)


class _Journal:
    def __init__(self, books: Books, sizes: Sizes) -> None:
        self._books, self._batch = books, sizes.batch
        self._writer, self._publisher = Writer(), Publisher(sizes.checkpoint_seconds)
        self._chance = random.Random(1)
        self._posted = 0

    def grow(self) -> int:
        """Post one batch; gives its transactions."""
        seconds = self._writer.seconds(self._books.drafts(self._batch, self._chance, first=self._posted))
        self._publisher.seconds(seconds)
        self._posted += self._batch
        return self._batch


def _audit(database: Database) -> AuditOutcome:
    outcome = audit_elsewhere(database.url)
    if outcome.findings:
        raise BenchFailed(f"the audit found {outcome.findings} faults in a journal that has none")
    return outcome


def _vacuum() -> None:
    """What autovacuum does within minutes; without it the first pass pays for marking every row as committed."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) ledger_account, ledger_transaction, ledger_entry")


def _sum_entries() -> float:
    """Entries a second of the cheapest look at all of them."""
    started = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), sum(amount) FROM ledger_entry")
        count: int = cursor.fetchone()[0]
    return count / (time.perf_counter() - started)


def _figures(small: AuditOutcome, audits: list[AuditOutcome], sums: list[float]) -> list[Figure]:
    speeds = [audit.entries / audit.seconds for audit in audits]
    peaks = [audit.peak_mib for audit in audits]
    fewer = f"the same over {small.entries:,} of the {audits[0].entries:,} entries"
    return [
        measured("ledger.audit_entries_per_s", "entries/s", speeds, sums, "SELECT count(*), sum(amount) over them"),
        measured("ledger.audit_peak_mib", "MiB", peaks, [small.peak_mib] * len(peaks), fewer),
    ]
