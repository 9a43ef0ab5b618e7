"""Commands a second through the sequencer, beside the naive ORM and a bare COPY of the rows it wrote.

A round fills the line, lets the sequencer decide all of it, copies what it wrote once more, and gives the naive
exchange some commands of its own, so that figure and baselines meet the machine in the same mood. Together the rounds
last long enough for checkpoints and autovacuum to be in them.
"""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from config.demo.display import Advance
from exchange.sequencer.loop import Sequencer
from ledger.clock import get_clock
from tests.bench import copying
from tests.bench.exchange import copy_floor
from tests.bench.exchange.flow import Drawn, Flow, fill_line
from tests.bench.exchange.orm import NaiveExchange
from tests.bench.exchange.world import World, open_world, steps
from tests.bench.figures import Figure, compared, measured, percentile
from tests.bench.parts import Bench
from tests.bench.process import collector_resting

COMMANDS_A_SECOND = "commands/s"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much a round does, and how long the sequencer must have worked in all.

    `standing` orders wait on each side of each book at the start; of the naive exchange's only `naive_standing`, which
    favours it.
    """

    contracts: int = 100
    parties: int = 1_000
    standing: int = 20
    commands: int = 60_000
    naive_standing: int = 2
    naive: int = 150
    seconds: float = 60


def measure_sequencer(bench: Bench, sizes: Sizes = Sizes()) -> list[Figure]:
    """`sequencer.orders_per_s`, and how many times the naive ORM and what part of the COPY that is."""
    with bench.fresh_database():
        with bench.progress("exchange: market", steps(sizes.contracts, sizes.parties)) as advance:
            played = _Rounds(sizes, advance)
        with bench.progress("exchange: sequencer", int(sizes.seconds) or None) as advance:
            while played.worked < sizes.seconds or not played.rounds:
                advance(int(played.play()))
    return played.figures()


class _Rounds:
    def __init__(self, sizes: Sizes, advance: Advance) -> None:
        self._sizes = sizes
        world = open_world(sizes.contracts, sizes.parties, advance)
        copy_floor.make_tables()
        self._naive = NaiveExchange(world)
        self._line, self._naive_line = _flow(world, sizes.standing), _flow(world, sizes.naive_standing)
        self._sequencer = Sequencer(get_clock())
        self._sequencer.take_over(threading.Event())
        self.worked, self.rounds = 0.0, 0
        self._measured: dict[str, list[float]] = defaultdict(list)
        each_side = 2 * sizes.contracts
        fill_line(self._line, sizes.standing * each_side)
        self._decide()
        for _ in range(sizes.naive_standing * each_side):
            self._naive.run(next(self._naive_line))

    def play(self) -> float:
        """One round; the seconds that the sequencer worked."""
        sizes, note = self._sizes, self._measured
        fill_line(self._line, sizes.commands)
        before = copy_floor.last_batch()
        steps_taken = self._decide()
        seconds = sum(steps_taken)
        written = copy_floor.written_after(before)
        note["sequencer"].append(sizes.commands / seconds)
        with collector_resting():
            note["copy"].append(sizes.commands / copying.copy_seconds(written))
            note["packed copy"].append(sizes.commands / copying.copy_seconds(written, packed_before=True))
        naive = [self._run_naive(next(self._naive_line)) for _ in range(sizes.naive)]
        note["naive"].append(len(naive) / sum(naive))
        for percent in (50, 99):
            note[f"transaction p{percent}"].append(percentile(steps_taken, percent) * 1_000)
            note[f"naive p{percent}"].append(percentile(naive, percent) * 1_000)
        self.worked += seconds
        self.rounds += 1
        return seconds

    def figures(self) -> list[Figure]:
        m = self._measured
        naive = "one ORM transaction a command, select_for_update on the contract, no triggers"
        copy = "binary COPY of the inserted rows of all tables, primary keys only, the same batches"
        return [
            measured("sequencer.orders_per_s", COMMANDS_A_SECOND, m["sequencer"], m["naive"], naive),
            compared("sequencer.vs_naive_orm", m["sequencer"], m["naive"], naive),
            compared("sequencer.vs_copy_floor", m["sequencer"], m["copy"], copy),
            compared("sequencer.vs_packed_copy_floor", m["sequencer"], m["packed copy"], f"{copy}, packed before"),
            measured("sequencer.transaction_p50_ms", "ms", m["transaction p50"], m["naive p50"], naive),
            measured("sequencer.transaction_p99_ms", "ms", m["transaction p99"], m["naive p99"], naive),
        ]

    def _decide(self) -> list[float]:
        """Seconds of each transaction until nothing waits."""
        seconds: list[float] = []
        with collector_resting():
            while True:
                started = time.perf_counter()
                if not self._sequencer.step():
                    return seconds
                seconds.append(time.perf_counter() - started)

    def _run_naive(self, drawn: Drawn) -> float:
        started = time.perf_counter()
        self._naive.run(drawn)
        return time.perf_counter() - started


def _flow(world: World, standing: int) -> Iterator[Drawn]:
    flow = Flow(world, random.Random(standing))
    yield from flow.opening(standing)
    yield from flow.commands()
