"""kill -9 of sequencer processes at random instants, while clients trade."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from exchange.sequencer.answers import Answer
from tests.crash.checks import wait_for_expiries
from tests.crash.load import move_clock, trading
from tests.crash.sequencers import Process, epoch, processes

COMMANDS_BETWEEN = 20


@dataclass
class Killed:
    """How often, how many seconds each time until commands were decided again, and what the clients were told."""

    seconds: list[float] = field(default_factory=list)
    acknowledged: dict[int, Answer] = field(default_factory=dict)


def kill_at_random(start: Callable[[], Process], draw: random.Random, goes_on: Callable[[int], bool]) -> Killed:
    """Two sequencers, of which one leads; again and again one or both are killed, as long as `goes_on` (kills so far).

    Their clock steps forwards and backwards.
    """
    killed = Killed()
    with processes() as running, trading(draw) as load:
        running += [start(), start()]
        load.go_on(COMMANDS_BETWEEN, running)
        while goes_on(len(killed.seconds)):
            time.sleep(draw.uniform(0, 0.05))
            killed_at = time.monotonic()
            _kill(start, draw, running)
            load.go_on(1, running)
            killed.seconds.append(time.monotonic() - killed_at)
            load.go_on(COMMANDS_BETWEEN, running)
            move_clock(timedelta(seconds=draw.randint(-2, 4)))
        load.stop()
        move_clock(timedelta(minutes=1))
        wait_for_expiries()
    killed.acknowledged = load.acknowledged
    return killed


def _kill(start: Callable[[], Process], draw: random.Random, running: list[Process]) -> None:
    """Whichever leads, and now and then the other as well. Others take their places."""
    before = epoch()
    for victim in list(running):
        victim.kill()
        victim.wait()
        running.remove(victim)
        running.append(start())
        if epoch() > before or draw.random() < 0.7:
            return
