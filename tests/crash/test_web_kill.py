"""kill -9 of the web process under orders: each that was answered is there, and a repeat gets the first answer."""

from __future__ import annotations

import time

import pytest

from tests.conftest import DatabaseUrls
from tests.crash.checks import check_all
from tests.crash.rest import buying, web_process
from tests.crash.sequencers import LONGER, processes, seeded, start
from tests.replays import Replays

KILLS = 2 * LONGER
pytestmark = pytest.mark.xdist_group("servers")


def test_each_answered_order_is_there_and_a_repeat_is_told_the_same(database: DatabaseUrls, replays: Replays) -> None:
    draw = seeded()
    with web_process(database) as web, processes() as running, buying(web, draw) as load:
        running.append(start(database))
        for kill in range(KILLS):
            load.go_on(10, running)
            time.sleep(draw.uniform(0, 0.1))
            if kill % 2:
                web.kill()
                web.start()
            else:
                web.kill_workers()
        load.go_on(10, running)
        load.stop()
        load.check_repeats()
    assert sum(map(len, load.told.values())) >= 10 * KILLS
    check_all({}, replays.run)
