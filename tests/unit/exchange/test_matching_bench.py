"""The matching benchmark at its smallest, so that it cannot rot. What it measures here means nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from config.demo.display import Advance
from tests.bench.exchange import matching
from tests.bench.parts import Bench, BenchFailed

SIZES = matching.Sizes(resting=50, events=400, rounds=2, batch=100)


@pytest.fixture
def bench() -> Bench:
    @contextmanager
    def no_database() -> Iterator[Any]:
        raise AssertionError("matching needs no database")

    @contextmanager
    def progress(title: str, steps: int | None) -> Iterator[Advance]:
        yield lambda by=1: None

    return Bench(no_database, progress)


def test_both_engines_are_measured_on_the_same_fills(bench: Bench) -> None:
    figures = matching.measure_matching(bench, SIZES)
    assert [figure.name for figure in figures] == ["matching.events_per_s", "matching.vs_lightmatchingengine"]
    assert all(len(figure.values) == len(figure.baselines) == SIZES.rounds for figure in figures)
    assert all(value > 0 for figure in figures for value in (*figure.values, *figure.baselines))


def test_other_fills_end_the_benchmark(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "_peer_fills", lambda line, sizes: [])
    with pytest.raises(BenchFailed):
        matching.measure_matching(bench, SIZES)
