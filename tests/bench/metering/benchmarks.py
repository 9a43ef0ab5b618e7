"""The part `metering` of `make bench`."""

from __future__ import annotations

from tests.bench.metering.ingest import measure_ingest
from tests.bench.metering.rollup import measure_rollup
from tests.bench.parts import Benchmark

BENCHMARKS = (
    Benchmark("metering.ingest", measure_ingest),
    Benchmark("metering.rollup", measure_rollup),
)
