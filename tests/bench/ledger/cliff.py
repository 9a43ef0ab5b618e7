"""Entries a second over numbers of accounts and batch sizes: no combination may fall off a cliff."""

from __future__ import annotations

import random
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from tests.bench.figures import TIMES, Figure, measured
from tests.bench.ledger import copy_floor
from tests.bench.ledger.books import STEPS, Books, freeze_setup, open_books
from tests.bench.ledger.copy_floor import last_transaction, posted_rows
from tests.bench.ledger.writer import Writer
from tests.bench.parts import Bench, Database, rounds

LEGS = 4
NEAR, FAR = 10_000, 1_000_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """`batches` says how many batches of a size a round has."""

    accounts: tuple[int, ...] = (1_000, NEAR, FAR)
    batches: tuple[tuple[int, int], ...] = ((1, 100), (50, 20), (500, 8), (5_000, 2))
    rounds: int = 5
    seconds: float = 120


@dataclass(slots=True)
class _Site:
    """A database with so many accounts, and its writer."""

    database: Database
    books: Books
    chance: random.Random
    writer: Writer
    posted: int = 0

    def post(self, batches: int, batch: int) -> float:
        """Entries a second."""
        drafts = self.books.drafts(batches * batch, self.chance, first=self.posted)
        self.posted += len(drafts)
        parts = [drafts[start : start + batch] for start in range(0, len(drafts), batch)]
        return len(drafts) * LEGS / sum(map(self.writer.seconds, parts))


Speeds = dict[tuple[int, int], list[float]]  # by accounts and batch size, one a round


def measure_cliff(bench: Bench, sizes: Sizes = Sizes()) -> list[Figure]:
    """`ledger.rows_per_s.*` and `ledger.cliff_10k_to_1m`."""
    posted: Speeds = defaultdict(list)
    copied: Speeds = defaultdict(list)
    with ExitStack() as stack:
        sites = {}
        for accounts in sizes.accounts:
            database = stack.enter_context(bench.fresh_database())
            with bench.progress(f"ledger: {accounts:,} accounts", STEPS * accounts) as advance:
                sites[accounts] = _Site(database, open_books(accounts, advance), random.Random(accounts), Writer())
                copy_floor.make_tables()
        freeze_setup()
        with bench.progress("ledger: rows", sizes.rounds * len(sizes.batches) * len(sites)) as advance:
            for _ in rounds(sizes.rounds, sizes.seconds):
                for batch, batches in sizes.batches:
                    for accounts, site in sites.items():
                        post_speed, copy_speed = _one(site, batches, batch)
                        posted[accounts, batch].append(post_speed)
                        copied[accounts, batch].append(copy_speed)
                        advance()
    return _figures(posted, copied)


def _one(site: _Site, batches: int, batch: int) -> tuple[float, float]:
    site.database.use()
    site.post(1, batch)  # on a new connection everything is planned anew, which a long-lived writer did long ago
    before = last_transaction()
    speed = site.post(batches, batch)
    rows = posted_rows(before)
    return speed, len(rows) / copy_floor.copy_seconds(rows, batch * LEGS)


def _figures(posted: Speeds, copied: Speeds) -> list[Figure]:
    beside = "binary COPY of the same rows, primary key only"
    found = [
        measured(f"ledger.rows_per_s.a{accounts}.b{batch}", "entries/s", speeds, copied[accounts, batch], beside)
        for (accounts, batch), speeds in sorted(posted.items())
    ]
    if (FAR, 1) in posted:
        found.append(fall_figure(posted, copied))
    return found


def fall_figure(posted: Speeds, copied: Speeds) -> Figure:
    """The worst fall an entry between two numbers of accounts, over the batch sizes, beside that of the COPY."""
    sizes = [batch for accounts, batch in posted if accounts == FAR]
    falls = {batch: _falls(posted, batch) for batch in sizes}
    worst = max(sizes, key=lambda batch: median(falls[batch]))
    values, baselines = falls[worst], _falls(copied, worst)
    beside = f"how the COPY falls; the worst batch size is {worst:,}"
    return measured("ledger.cliff_10k_to_1m", TIMES, values, baselines, beside)


def _falls(speeds: Speeds, batch: int) -> list[float]:
    return [near / far for near, far in zip(speeds[NEAR, batch], speeds[FAR, batch], strict=True)]
