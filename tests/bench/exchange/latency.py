"""From a command's insert to its result being visible on another connection; the sequencer is a process of its own."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from exchange.sequencer.intake import Submission, submit
from exchange.sequencer.results import await_result
from tests.bench.exchange.flow import Drawn, Flow
from tests.bench.exchange.process import running_sequencer
from tests.bench.exchange.world import ACTOR, World, open_world, steps
from tests.bench.figures import Figure, measured, percentile
from tests.bench.parts import Bench, BenchFailed
from tests.bench.process import running

PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Sizes:
    """`rate` commands a second are half of what the sequencer can do; `pause` seconds lie between two probes.

    A round ends after so many `seconds` with the probes that there are: a machine may not bear the load.
    """

    contracts: int = 100
    parties: int = 1_000
    rate: int = 8_000
    probes: int = 300
    rounds: int = 3
    pause: float = 0.02
    seconds: float = 30


def measure_latency(bench: Bench, sizes: Sizes = Sizes()) -> list[Figure]:
    """`sequencer.idle_p50_ms`, `sequencer.idle_p99_ms` and `sequencer.half_load_p99_ms`."""
    with bench.fresh_database() as database, ExitStack() as stack:
        with bench.progress("exchange: market", steps(sizes.contracts, sizes.parties)) as advance:
            world = open_world(sizes.contracts, sizes.parties, advance)
        probe = _Probe(world, sizes)
        with bench.progress("exchange: latency", 2 * sizes.rounds) as advance:
            stack.enter_context(running_sequencer(database))
            probe.warm_up()
            idle = []
            for _ in range(sizes.rounds):
                idle.append(probe.milliseconds())
                advance()
            stack.enter_context(running(database, "-m", "tests.bench.exchange.loader", str(sizes.rate)))
            probe.warm_up()
            loaded = []
            for _ in range(sizes.rounds):
                loaded.append(probe.milliseconds())
                advance()
    return _figures(idle, loaded, sizes.rate)


class _Probe:
    """One client that places an order, waits for its result, and places the next."""

    def __init__(self, world: World, sizes: Sizes) -> None:
        self._commands = Flow(world, random.Random(1)).commands()
        self._sizes = sizes

    def warm_up(self) -> None:
        """Until the processes stand and have answered some probes."""
        for drawn in self._orders(20):
            self._send(drawn)
            time.sleep(self._sizes.pause)

    def milliseconds(self) -> list[float]:
        times: list[float] = []
        ends = time.monotonic() + self._sizes.seconds
        for drawn in self._orders(self._sizes.probes):
            if times and time.monotonic() > ends:
                break
            time.sleep(self._sizes.pause)
            started = time.perf_counter()
            self._send(drawn)
            times.append((time.perf_counter() - started) * 1_000)
        return times

    def _orders(self, count: int) -> list[Drawn]:
        return list(islice((drawn for drawn in self._commands if drawn.order is not None), count))

    def _send(self, drawn: Drawn) -> None:
        submission = Submission(drawn.kind, drawn.contract_id, ACTOR, drawn.payload(0), drawn.party_id)
        submitted = submit(submission, now=datetime.now(UTC))
        if await_result(submitted.seq, PATIENCE_SECONDS) is None:
            raise BenchFailed("the sequencer gave no answer")


def _figures(idle: Sequence[Sequence[float]], loaded: Sequence[Sequence[float]], rate: int) -> list[Figure]:
    def spread(rounds: Sequence[Sequence[float]], percent: int) -> list[float]:
        return [percentile(times, percent) for times in rounds]

    median = "the median of the same probes"
    return [
        measured(
            "sequencer.idle_p50_ms", "ms", spread(idle, 50), spread(loaded, 50), f"with {rate:,} commands/s beside"
        ),
        measured("sequencer.idle_p99_ms", "ms", spread(idle, 99), spread(idle, 50), median),
        measured("sequencer.half_load_p99_ms", "ms", spread(loaded, 99), spread(loaded, 50), median),
    ]
