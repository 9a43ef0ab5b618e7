"""Sequencers are killed at random moments for a long time; in the end every invariant holds and a replay agrees."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

from tests.bench.figures import Figure, measured, percentile
from tests.bench.parts import Bench
from tests.crash.checks import check_all, replay_beside
from tests.crash.kills import kill_at_random
from tests.crash.sequencers import seeded, start_in


def soak_kills(bench: Bench, seconds: float, log: Path) -> list[Figure]:
    """`soak.kills`, what was decided and how soon. Prints its seed; raises AssertionError for what does not hold.

    What the sequencers say goes into `log`.
    """
    with bench.fresh_database() as database, log.open("wb") as said:
        started = time.monotonic()
        with bench.progress("soak: random kills", int(seconds)) as advance:
            shown = 0

            def goes_on(kills: int) -> bool:
                nonlocal shown
                passed = time.monotonic() - started
                advance(int(passed) - shown)
                shown = int(passed)
                return passed < seconds or not kills

            start = partial(start_in, os.environ | {"DATABASE_URL": database.url}, said)
            killed = kill_at_random(start, seeded(), goes_on)
            minutes = (time.monotonic() - started) / 60
        with bench.progress("soak: checks, replay", 1) as advance:
            check_all(killed.acknowledged, replay_beside)
            advance()
    ms = [1_000 * each for each in killed.seconds]
    return [
        measured("soak.kills", "kills", [len(ms)], [minutes], "minutes in which they happened"),
        measured("soak.acknowledged", "commands", [len(killed.acknowledged)], [len(ms)], "kills"),
        measured("soak.takeover_p99_ms", "ms", [percentile(ms, 99)], [percentile(ms, 50)], "the median kill"),
    ]
