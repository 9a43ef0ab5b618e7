"""Whether the sequencer is as fast, and as small, after ten million commands as in the first million."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
from django.db import connection

from exchange.models import SequencerState
from exchange.sequencer.intake import INTAKE_CHANNEL
from tests.audits import audit, found_by
from tests.bench.exchange.flow import Drawn, Flow, fill_line
from tests.bench.exchange.process import running_sequencer
from tests.bench.exchange.sequencer import COMMANDS_A_SECOND
from tests.bench.exchange.world import World, open_world, steps
from tests.bench.figures import Figure, compared, measured
from tests.bench.parts import Bench, BenchFailed
from tests.bench.process import MIB

STALLED_SECONDS = 60
LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Sizes:
    """`pieces` times `piece` commands; no piece begins when so many `seconds` are over.

    `at_once` commands are put into the line while the sequencer rests; only its own time counts.
    """

    contracts: int = 100
    parties: int = 1_000
    standing: int = 20
    piece: int = 1_000_000
    pieces: int = 10
    at_once: int = 50_000
    seconds: float = 5_400


def measure_growth(bench: Bench, sizes: Sizes = Sizes()) -> list[Figure]:
    """`soak.orders_per_s` piece by piece, the last beside the first, memory and disk. Then a full audit."""
    rates: list[float] = []
    memory: list[float] = []
    disk: list[float] = []
    ends = time.monotonic() + sizes.seconds
    with bench.fresh_database() as database:
        with bench.progress("soak: market", steps(sizes.contracts, sizes.parties)) as advance:
            world = open_world(sizes.contracts, sizes.parties, advance)
        line = _line(world, sizes.standing)
        with bench.progress("soak: commands", sizes.piece * sizes.pieces) as advance, running_sequencer(database) as it:
            _decide(line, 2 * sizes.standing * sizes.contracts, it)
            while len(rates) < sizes.pieces and (not rates or time.monotonic() < ends):
                seconds = 0.0
                for count in _portions(sizes.piece, sizes.at_once):
                    seconds += _decide(line, count, it)
                    advance(count)
                rates.append(sizes.piece / seconds)
                memory.append(it.memory_full_info().uss / MIB)
                disk.append(_database_bytes() / MIB)
        with bench.progress("soak: audit", 1) as advance:
            if found := found_by(audit()):
                raise BenchFailed(f"the audit found {found}")
            advance()
    return _figures(rates, memory, disk, f"the first {sizes.piece:,}")


def _figures(rates: list[float], memory: list[float], disk: list[float], first: str) -> list[Figure]:
    count = len(rates)
    return [
        measured("soak.orders_per_s", COMMANDS_A_SECOND, rates, [rates[0]] * count, first),
        compared("soak.last_vs_first", [rates[-1]], [rates[0]], f"commands/s of {first}; it is piece {count}"),
        measured("soak.sequencer_mib", "MiB", memory, [memory[0]] * count, f"after {first}"),
        measured("soak.database_mib", "MiB", disk, [disk[0]] * count, f"after {first}"),
    ]


def _database_bytes() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        size: int = cursor.fetchone()[0]
    return size


def _line(world: World, standing: int) -> Iterator[Drawn]:
    flow = Flow(world, random.Random(standing))
    yield from flow.opening(standing)
    yield from flow.commands()


def _portions(whole: int, most: int) -> Iterator[int]:
    for start in range(0, whole, most):
        yield min(most, whole - start)


def _decide(line: Iterator[Drawn], count: int, sequencer: psutil.Process) -> float:
    """Let the sequencer decide the next commands; the seconds that it took."""
    last = fill_line(line, count)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [INTAKE_CHANNEL])
    started = moved = time.perf_counter()
    reached = -1
    while reached < last:
        time.sleep(LOOK_SECONDS)
        now, before = time.perf_counter(), reached
        reached = SequencerState.objects.values_list("cursor", flat=True).get(shard=1)
        if reached > before:
            moved = now
        elif now > moved + STALLED_SECONDS or sequencer.status() == psutil.STATUS_ZOMBIE:
            raise BenchFailed(f"the sequencer stopped at command {reached}")
    return time.perf_counter() - started
