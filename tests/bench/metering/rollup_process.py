"""Summing up all usage that waits, in a process of its own, so that its memory is nobody else's.

    python -m tests.bench.metering.rollup_process

Works on DATABASE_URL and prints a line of JSON: the seconds without the start of the process, what was summed up, and
how many MiB the process held at most in the first step and in all of them.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass

from tests.bench.process import ask_module, watched_memory


@dataclass(frozen=True, slots=True)
class RollUpOutcome:
    """What the process says."""

    seconds: float
    events: int
    steps: int
    first_mib: float
    peak_mib: float


def roll_up_elsewhere(database_url: str) -> RollUpOutcome:
    """Run this module on a database. Raises `CalledProcessError` when it fails."""
    return RollUpOutcome(**ask_module("tests.bench.metering.rollup_process", database_url))


def roll_up_here() -> RollUpOutcome:
    """Sum up what waits in the database that the settings name, watching this process's memory."""
    import django

    django.setup()
    from ledger.clock import get_clock
    from settlement.metering.rollups import roll_up

    events, first_mib, steps = 0, 0.0, 0
    with watched_memory() as peak_mib:
        started = time.perf_counter()
        while (done := roll_up(now=get_clock().now())).calls:
            events, steps = events + done.events, steps + 1
            first_mib = first_mib or peak_mib()
        return RollUpOutcome(time.perf_counter() - started, events, steps, first_mib, peak_mib())


if __name__ == "__main__":
    print(json.dumps(asdict(roll_up_here())))
