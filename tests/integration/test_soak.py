"""The soak at its smallest, so that it cannot rot. What it measures here means nothing."""

from __future__ import annotations

from pathlib import Path

from exchange.models import IntakeResult
from settlement.models import UsageDedup, UsageEvent
from tests.bench.parts import Bench
from tests.soak import usage
from tests.soak.growth import Sizes, measure_growth
from tests.soak.killing import soak_kills


def test_throughput_and_memory_are_measured_piece_by_piece(bench: Bench) -> None:
    sizes = Sizes(contracts=3, parties=6, standing=4, piece=100, pieces=2, at_once=60)
    rates, ratio, memory, disk = measure_growth(bench, sizes)
    names = ["soak.orders_per_s", "soak.last_vs_first", "soak.sequencer_mib", "soak.database_mib"]
    assert [rates.name, ratio.name, memory.name, disk.name] == names
    assert len(rates.values) == len(memory.values) == len(disk.values) == 2
    assert ratio.value == rates.values[1] / rates.values[0]
    assert IntakeResult.objects.count() == 2 * 3 * 4 + 200


def test_no_piece_begins_when_the_time_is_over(bench: Bench) -> None:
    sizes = Sizes(contracts=2, parties=2, standing=1, piece=20, pieces=5, seconds=0)
    rates, *_ = measure_growth(bench, sizes)
    assert len(rates.values) == 1


def test_kills_end_with_every_check(bench: Bench, tmp_path: Path) -> None:
    kills, acknowledged, takeover = soak_kills(bench, 0.1, tmp_path / "log")
    assert kills.value == 1
    assert acknowledged.value >= 20
    assert takeover.value > 0
    assert b"epoch" in (tmp_path / "log").read_bytes()


def test_usage_is_stored_day_by_day_and_measured_at_both_ends(bench: Bench) -> None:
    sizes = usage.Sizes(events=400, first=100, days=2, calls=2, events_a_call=20)
    stored, disk, ordered, random = usage.measure_usage_growth(bench, sizes)
    assert (stored.name, stored.value, stored.baseline) == ("soak.usage_events", 400, 400)
    assert 0 < disk.value < disk.baseline
    names = ["soak.usage_cost_ordered_last_vs_first", "soak.usage_cost_random_last_vs_first"]
    assert [ordered.name, random.name] == names
    assert min(ordered.value, random.value, ordered.baseline, random.baseline) > 0
    assert UsageEvent.objects.count() == UsageDedup.objects.count() == 400 + 2 * 2 * 2 * 20
