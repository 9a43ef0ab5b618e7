"""The soak at its smallest, so that it cannot rot. What it measures here means nothing."""

from __future__ import annotations

from pathlib import Path

from exchange.models import IntakeResult
from tests.bench.parts import Bench
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
