"""The part `ledger` of `make bench`."""

from __future__ import annotations

from tests.bench.ledger.auditing import measure_audit
from tests.bench.ledger.cliff import measure_cliff
from tests.bench.ledger.throughput import measure_throughput
from tests.bench.parts import Benchmark

BENCHMARKS = (
    Benchmark("ledger.throughput", measure_throughput),
    Benchmark("ledger.cliff", measure_cliff),
    Benchmark("ledger.audit", measure_audit),
)
