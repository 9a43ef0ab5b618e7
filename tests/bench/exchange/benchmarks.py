"""The part `exchange` of `make bench`."""

from __future__ import annotations

from dataclasses import replace

from tests.bench.exchange import latency
from tests.bench.exchange.matching import measure_matching
from tests.bench.exchange.restart import measure_restart
from tests.bench.exchange.sequencer import measure_sequencer
from tests.bench.figures import Figure
from tests.bench.parts import Bench, Benchmark


def measure_sequencing(bench: Bench) -> list[Figure]:
    """How much the sequencer can do, and how soon it answers, idle and with half of that beside it."""
    figures = measure_sequencer(bench)
    half = int(figures[0].value / 2)
    return figures + latency.measure_latency(bench, replace(latency.Sizes(), rate=half))


BENCHMARKS = (
    Benchmark("exchange.matching", measure_matching),
    Benchmark("exchange.sequencer", measure_sequencing),
    Benchmark("exchange.restart", measure_restart),
)
