"""Transactions a second through the posting door, beside a bare COPY of its rows and the naive ORM.

A round is one slice of everything, so that figure and baseline meet the machine in the same mood.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.figures import Figure, compared, measured, percentile
from tests.bench.ledger import copy_floor, orm
from tests.bench.ledger.books import NOW, STEPS, Books, freeze_setup, open_books
from tests.bench.ledger.copy_floor import last_transaction, posted_rows
from tests.bench.ledger.writer import Publisher, Writer
from tests.bench.parts import Bench, rounds

TRANSACTIONS_A_SECOND = "transactions/s"
LEGS = 4
HOLDS = 2


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much a round does: `batches` of `batch` transactions, `single` transactions one by one on both sides.

    A checkpoint is published every `checkpoint_seconds` of posting, and counts as posting.
    """

    accounts: int = 10_000
    rounds: int = 9
    seconds: float = 120
    batch: int = 500
    batches: int = 20
    single: int = 300
    checkpoint_seconds: float = 2.0


def measure_throughput(bench: Bench, sizes: Sizes = Sizes()) -> list[Figure]:
    """`ledger.post_500` and what stands beside it."""
    with bench.fresh_database():
        with bench.progress("ledger: accounts", STEPS * sizes.accounts) as advance:
            books = open_books(sizes.accounts, advance)
            wallets = orm.make_tables(sizes.accounts)
            copy_floor.make_tables()
        played = _Rounds(books, wallets, sizes)
        with bench.progress("ledger: throughput", sizes.rounds) as advance:
            for _ in rounds(sizes.rounds, sizes.seconds):
                played.play()
                advance()
    return played.figures()


class _Rounds:
    def __init__(self, books: Books, wallets: list[int], sizes: Sizes) -> None:
        self._books, self._wallets, self._sizes = books, wallets, sizes
        self._chance = random.Random(1)
        self._writer, self._publisher = Writer(), Publisher(sizes.checkpoint_seconds)
        self._posted = self._transferred = 0
        self._measured: dict[str, list[float]] = defaultdict(list)
        freeze_setup()
        list(self._post(sizes.batch, 1))  # plans, caches and connections are those of a process that has been running

    def play(self) -> None:
        sizes, note = self._sizes, self._measured
        before = last_transaction()
        count = sizes.batches * sizes.batch
        note["post"].append(count / self._post_and_publish())
        rows = posted_rows(before)
        for name, packed in (("copy", False), ("packed copy", True)):
            note[name].append(count / copy_floor.copy_seconds(rows, sizes.batch * LEGS, packed_before=packed))
        transfers = [self._transfer() for _ in range(sizes.single)]
        note["orm"].append(sizes.single / sum(transfers))
        note["with holds"].append(count / self._post_and_publish(holds=HOLDS))
        singles = list(self._post(1, sizes.single))
        for percent in (50, 99):
            note[f"orm p{percent}"].append(percentile(transfers, percent) * 1_000)
            note[f"single p{percent}"].append(percentile(singles, percent) * 1_000)

    def figures(self) -> list[Figure]:
        m, batch = self._measured, self._sizes.batch
        copy = "binary COPY of the same entry rows, primary key only, packing them included, a COMMIT a batch"
        packed = "the same COPY, rows packed before the clock starts"
        naive = "one ORM transaction a transfer, select_for_update on four rows"
        post = f"ledger.post_{batch}"
        return [
            measured(post, TRANSACTIONS_A_SECOND, m["post"], m["copy"], copy),
            compared(f"{post}_vs_copy", m["post"], m["copy"], copy),
            compared(f"{post}_vs_packed_copy", m["post"], m["packed copy"], packed),
            compared(f"{post}_vs_orm", m["post"], m["orm"], naive),
            measured(f"{post}_with_holds", TRANSACTIONS_A_SECOND, m["with holds"], m["post"], f"{post}: without holds"),
            measured("ledger.post_1_p50_ms", "ms", m["single p50"], m["orm p50"], naive),
            measured("ledger.post_1_p99_ms", "ms", m["single p99"], m["orm p99"], naive),
        ]

    def _post_and_publish(self, *, holds: int = 0) -> float:
        """Seconds of a round's batches with the checkpoints that fell due meanwhile."""
        posting = self._post(self._sizes.batch, self._sizes.batches, holds=holds)
        return sum(seconds + self._publisher.seconds(seconds) for seconds in posting)

    def _post(self, batch: int, batches: int, *, holds: int = 0) -> Iterator[float]:
        """Seconds of each batch. The drafts are made before any clock starts: they are the caller's work."""
        drafts = self._books.drafts(batches * batch, self._chance, first=self._posted, holds=holds)
        self._posted += len(drafts)
        for start in range(0, len(drafts), batch):
            yield self._writer.seconds(drafts[start : start + batch])

    def _transfer(self) -> float:
        half = len(self._wallets) // 2
        buyer, seller = self._chance.sample(range(half), 2)
        giver, taker = self._chance.sample(range(half, 2 * half), 2)
        price, tokens = self._chance.randint(1, 10_000), self._chance.randint(1, 1_000)
        moves = [
            (self._wallets[place], amount)
            for place, amount in ((buyer, -price), (seller, price), (giver, -tokens), (taker, tokens))
        ]
        self._transferred += 1
        started = time.perf_counter()
        orm.transfer(moves, reference=str(self._transferred), now=NOW)
        return time.perf_counter() - started
