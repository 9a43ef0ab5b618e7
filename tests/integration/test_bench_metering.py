"""The metering's benchmarks at their smallest, so that they cannot rot. What they measure here means nothing."""

from __future__ import annotations

from itertools import product

import pytest
from django.db import connection

from settlement.models import UsageBatch, UsageDedup, UsageEvent, UsageMinute
from tests.bench import copying
from tests.bench.metering import copy_floor, ingest, rollup
from tests.bench.parts import Bench

pytestmark = pytest.mark.xdist_group("servers")


def number(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query)
        found: int = cursor.fetchone()[0]
    return found


def test_intake_is_measured_over_rest_and_the_floor_takes_the_same_rows(bench: Bench) -> None:
    sizes = ingest.Sizes(calls=2, events=20, repeated=4, rounds=2, seconds=60)
    figures = {figure.name: figure for figure in ingest.measure_ingest(bench, sizes)}
    assert list(figures) == [
        "metering.ingest_events_per_s", "metering.ingest_vs_copy", "metering.ingest_vs_packed_copy",
        "metering.ingest_with_duplicates_vs_without", "metering.ingest_web_us", "metering.ingest_postgres_us",
    ]  # fmt: skip
    for name, figure in figures.items():
        # Processor time is counted in hundredths of a second, which may round so little work to none.
        least = -1 if name.endswith("_us") else 0
        assert all(value > least for value in (figure.value, *figure.baselines)), figure
    new, more = 2 * 2 * 2 * 20, 2 * 2 * 2 * 16
    assert UsageEvent.objects.count() == UsageDedup.objects.count() == 2 * 20 + new + more
    assert sum(UsageBatch.objects.values_list("duplicates", flat=True)) == 2 * 2 * 2 * 4
    for table, prefix in product(copy_floor.TABLES, copying.PREFIXES):
        floor = f"{prefix}{table}"
        assert number(f"SELECT count(*) FROM {floor}") == (8 if table == "settlement_usagebatch" else new)
        assert number(f"SELECT count(*) FROM (TABLE {floor} EXCEPT TABLE {table}) AS other") == 0


def test_everything_that_waits_is_summed_up_in_another_process(bench: Bench) -> None:
    seconds, memory = rollup.measure_rollup(bench, rollup.Sizes(events=2_000, events_a_call=100))
    assert [seconds.name, memory.name] == ["metering.rollup_seconds_1m", "metering.rollup_rss_mib"]
    assert min(seconds.value, seconds.baseline, memory.value, memory.baseline) > 0
    assert sum(UsageMinute.objects.values_list("completed", flat=True)) == 2_000
    assert len(set(UsageEvent.objects.values_list("buyer_id", "contract_id"))) > 100
