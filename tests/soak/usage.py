"""Whether an event costs as much when very many are stored as in the first million, with ids in order and at random.

Days are generated inside the database until so many events are stored, or half of the disk that was free is used, or
the time is over: the figures say how far it went. Events that are measured are taken in by the product's own door.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
from django.db import connection, connections

from settlement.metering.ingestion import ingest
from settlement.metering.results import ItemStatus
from tests.bench.figures import Figure, compared, measured
from tests.bench.metering.stored import EVENTS_A_CALL, store
from tests.bench.metering.world import World, body_of, draw_events, open_world
from tests.bench.parts import Bench, BenchFailed
from tests.bench.process import MIB, postgres_process

CALLS_AT_ONCE = 50
FREE_SHARE = 2  # of the free disk this part is used


@dataclass(frozen=True, slots=True)
class Sizes:
    """`events` to be stored in `days`, the first `first` of them before the first measurement.

    A measurement takes `calls` calls of `events_a_call` events of each kind in.
    """

    events: int = 100_000_000
    first: int = 1_000_000
    days: int = 30
    calls: int = 100
    events_a_call: int = EVENTS_A_CALL
    seconds: float = 5_400


def measure_usage_growth(bench: Bench, sizes: Sizes = Sizes()) -> list[Figure]:
    """`soak.usage_events`, and what one more costs at the end beside the first million."""
    ends = time.monotonic() + sizes.seconds
    draw = random.Random(1)
    with bench.fresh_database():
        world, started = open_world(), datetime.now(UTC)
        disk = _cluster_disk()
        stored = 0
        costs: list[dict[str, float]] = []
        with bench.progress("soak: stored usage", sizes.events) as advance:
            for calls, received in _portions(sizes, started):
                store(world, calls, received, events=sizes.events_a_call, identities=True, pending=False)
                stored += calls * sizes.events_a_call
                advance(calls * sizes.events_a_call)
                if not costs and stored >= sizes.first:
                    costs.append(_costs(draw, world, sizes))
                if time.monotonic() > ends or _database_bytes() > disk // FREE_SHARE:
                    break
        costs.append(_costs(draw, world, sizes))
        size = _database_bytes()
    first, last = costs[0], costs[-1]
    beside = f"µs of an event when {sizes.first:,} were stored; it is that with {stored:,}"
    return [
        measured("soak.usage_events", "events", [stored], [sizes.events], "as many as were asked for"),
        measured("soak.usage_database_mib", "MiB", [size / MIB], [disk / MIB], "the disk that was free"),
        *(
            compared(f"soak.usage_cost_{ids}_last_vs_first", [last[ids]], [first[ids]], f"{beside}, ids {ids}")
            for ids in first
        ),
    ]


def _portions(sizes: Sizes, now: datetime) -> Iterator[tuple[int, datetime]]:
    """Calls and when they were received: day after day, the last one being yesterday."""
    a_day = max(1, sizes.events // sizes.events_a_call // sizes.days)
    for day in range(sizes.days, 0, -1):
        received = (now - timedelta(days=day)).replace(hour=12)
        for done in range(0, a_day, CALLS_AT_ONCE):
            yield min(CALLS_AT_ONCE, a_day - done), received + timedelta(milliseconds=done)


def _costs(draw: random.Random, world: World, sizes: Sizes) -> dict[str, float]:
    """Microseconds an event, with ids in order and at random."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE")
    return {"ordered": _cost(draw, world, sizes, ordered=True), "random": _cost(draw, world, sizes, ordered=False)}


def _cost(draw: random.Random, world: World, sizes: Sizes, *, ordered: bool) -> float:
    reporter, seconds = world.providers[0], 0.0
    for _ in range(sizes.calls):
        events = draw_events(draw, world, reporter, sizes.events_a_call)
        if ordered:
            events = [_numbered(event, time.time_ns()) for event in events]
        body, now = body_of(events), datetime.now(UTC)
        digest = hashlib.sha256(body).digest()
        begun = time.perf_counter()
        results = ingest(body, party_id=reporter.party.pk, actor="soak", signer=None, body_digest=digest, now=now)
        seconds += time.perf_counter() - begun
        if {result.status for result in results} != {ItemStatus.ACCEPTED}:
            raise BenchFailed("not every event was accepted")
    return seconds / (sizes.calls * sizes.events_a_call) * 1_000_000


def _numbered(event: bytes, number: int) -> bytes:
    """The same event with an id that is greater than those before it, and than the stored ones."""
    return msgspec.json.encode(msgspec.json.decode(event) | {"id": f"{number:020}"})


def _database_bytes() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        size: int = cursor.fetchone()[0]
    return size


def _cluster_disk() -> int:
    """Bytes that are free where the cluster keeps its data."""
    return shutil.disk_usage(postgres_process().cwd()).free
