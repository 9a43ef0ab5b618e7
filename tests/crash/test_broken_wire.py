"""The sequencer's connection breaks under load: between any two bytes, or while a batch is being written.

What it had sent may be committed or not; it cannot tell. The process lives on.
"""

from __future__ import annotations

import math
import time

from tests.conftest import DatabaseUrls
from tests.crash.checks import check_all
from tests.crash.load import trading
from tests.crash.proxy import breaking_wire
from tests.crash.sequencers import LONGER, cut_off, epoch, processes, seeded, start, wait_until
from tests.replays import Replays

BREAKS = 8 * LONGER
SHORTEST, LONGEST = 3_000, 200_000  # bytes; the first batches come after some thousands
WHOLE = 2**62


def test_between_any_two_bytes(database: DatabaseUrls, replays: Replays) -> None:
    draw = seeded()
    broken: list[tuple[int, int]] = []

    def lengths() -> tuple[int, int]:
        if len(broken) == BREAKS:
            return WHOLE, WHOLE
        length = int(math.exp(draw.uniform(math.log(SHORTEST), math.log(LONGEST))))
        broken.append((length, WHOLE) if draw.random() < 0.5 else (WHOLE, length))
        return broken[-1]

    with breaking_wire(database, lengths) as urls, processes() as running, trading(draw) as load:
        before = epoch()
        running.append(start(urls))
        wait_until(lambda: len(broken) == BREAKS, "the wire to break", running)
        load.go_on(20, running)
        load.stop()
    assert before + 1 < epoch() <= before + BREAKS + 1
    check_all(load.acknowledged, replays.run)


def test_while_a_batch_is_written(database: DatabaseUrls, replays: Replays) -> None:
    draw = seeded()
    with processes() as running, trading(draw) as load:
        before = epoch()
        running.append(start(database))
        for _ in range(BREAKS):
            load.go_on(1, running)
            time.sleep(draw.uniform(0, 0.02))
            wait_until(lambda: cut_off(writing=True), "a batch to be under way", running)
        load.go_on(20, running)
        load.stop()
    assert epoch() == before + BREAKS + 1
    check_all(load.acknowledged, replays.run)
