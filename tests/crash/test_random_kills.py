from __future__ import annotations

from functools import partial

from tests.conftest import DatabaseUrls
from tests.crash.checks import check_all
from tests.crash.kills import kill_at_random
from tests.crash.sequencers import LONGER, seeded, start
from tests.replays import Replays

KILLS = 4 * LONGER


def test_nothing_acknowledged_is_lost_and_nothing_done_twice(database: DatabaseUrls, replays: Replays) -> None:
    killed = kill_at_random(partial(start, database), seeded(), lambda kills: kills < KILLS)
    assert len(killed.acknowledged) > KILLS
    check_all(killed.acknowledged, replays.run)
