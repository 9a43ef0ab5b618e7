"""kill -9 of settlement workers at random: every statement says byte for byte what it says undisturbed."""

from __future__ import annotations

import random
import secrets
import time

import pytest
from django.db import connections
from psycopg.conninfo import conninfo_to_dict

from tests.conftest import Databases, DatabaseUrls
from tests.crash.sequencers import LONGER
from tests.crash.settlement_day import settle_day, traded_day, work_off
from tests.crash.settlement_kills import forks, killing
from tests.crash.settlement_outcome import check_same, check_settled, read_outcome

SEEDS = 3 * LONGER
KILLS_A_RUN = 12
pytestmark = pytest.mark.xdist_group("servers")


@pytest.mark.timeout(60 + 120 * SEEDS)
def test_workers_killed_at_random_change_nothing(database: DatabaseUrls, databases: Databases) -> None:
    day = traded_day()
    connections.close_all()
    source = str(conninfo_to_dict(database.owner_url)["dbname"])
    with databases.connected(databases.make(source)):
        began = time.monotonic()
        settle_day(day, work_off)
        seconds = time.monotonic() - began
        undisturbed = read_outcome()
        check_settled()
    kills = 0
    for _ in range(SEEDS):
        seed = secrets.randbits(32)
        print("seed", seed)
        with databases.connected(databases.make(source)) as urls, forks(urls, random.Random(seed)) as workers:
            settle_day(day, killing(workers, KILLS_A_RUN, seconds / KILLS_A_RUN))
            kills += workers.kills
            workers.kill_all()
            check_settled()
            check_same(read_outcome(), undisturbed)
    print("killed in the middle of a job:", kills)
    assert kills >= SEEDS
