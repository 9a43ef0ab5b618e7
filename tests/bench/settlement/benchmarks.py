"""The part `settlement` of `make bench`."""

from __future__ import annotations

from tests.bench.parts import Benchmark
from tests.bench.settlement.runs import measure_runs
from tests.bench.settlement.statement import measure_statement

BENCHMARKS = (
    Benchmark("settlement.runs", measure_runs),
    Benchmark("settlement.statement", measure_statement),
)
