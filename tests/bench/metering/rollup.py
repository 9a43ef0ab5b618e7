"""Seconds and memory to sum a million events up by minute, beside one bare GROUP BY of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection, connections

from settlement.metering.buckets import SETTLED_BUCKETS
from settlement.metering.rollup_check import find_differences
from tests.bench.figures import Figure, measured
from tests.bench.metering.rollup_process import roll_up_elsewhere
from tests.bench.metering.stored import EVENTS_A_CALL, store
from tests.bench.metering.world import open_world
from tests.bench.parts import Bench, BenchFailed

CALLS_AT_ONCE = 50
_BARE = (
    "SELECT contract_id, buyer_id, provider_id, meter_id, date_trunc('minute', accepted_at), count(*),"
    f" {', '.join(f'sum({bucket})' for bucket in SETTLED_BUCKETS)}, sum(millitokens)"
    " FROM settlement_usageevent GROUP BY 1, 2, 3, 4, 5"
)


@dataclass(frozen=True, slots=True)
class Sizes:
    events: int = 1_000_000
    events_a_call: int = EVENTS_A_CALL


def measure_rollup(bench: Bench, sizes: Sizes = Sizes()) -> list[Figure]:
    """`metering.rollup_seconds_1m` and `metering.rollup_rss_mib`."""
    calls = sizes.events // sizes.events_a_call
    with bench.fresh_database() as database:
        world = open_world()
        with bench.progress("metering: stored usage", calls) as advance:
            for done in range(0, calls, CALLS_AT_ONCE):
                count = min(CALLS_AT_ONCE, calls - done)
                store(world, count, datetime.now(UTC), events=sizes.events_a_call, identities=False, pending=True)
                advance(count)
        with connections["owner"].cursor() as cursor:
            cursor.execute("ANALYZE")
        with bench.progress("metering: roll-up", 1) as advance:
            bare = _bare_seconds()
            done_by = roll_up_elsewhere(database.url)
            advance()
        if done_by.events != calls * sizes.events_a_call:
            raise BenchFailed(f"{done_by.events} events were summed up")
        if find_differences(limit=1):
            raise BenchFailed("the sums are not those of the events")
    return [
        measured("metering.rollup_seconds_1m", "s", [done_by.seconds], [bare], "one GROUP BY of the same, not written"),
        measured("metering.rollup_rss_mib", "MiB", [done_by.peak_mib], [done_by.first_mib], "after the first step"),
    ]


def _bare_seconds() -> float:
    started = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM ({_BARE}) AS summed")
        cursor.fetchone()
    return time.perf_counter() - started
