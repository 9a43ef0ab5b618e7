"""kill -9 of PostgreSQL, which is the broker as well, while runs are settled: statements stay what they are."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import OperationalError, connections
from psycopg import sql

from config.environment import embedded_broker_url
from config.postgres import Cluster
from settlement.models import JobState, SettlementJob, SettlementRun
from tests.conftest import DatabaseUrls, _close_connections, _connect_django, _with_database
from tests.crash.sequencers import LONGER, wait_until
from tests.crash.settlement_celery import EmbeddedWire, Workers, ringing, workers
from tests.crash.settlement_day import settle_day, traded_day, work_off
from tests.crash.settlement_kills import end_leases
from tests.crash.settlement_outcome import check_same, check_settled, read_outcome
from tests.crash.test_postgres_kill import answers, cluster, kill_one

__all__ = ["cluster"]

SEEDS = LONGER
KILLS = 2  # in each of both runs
PREPARED = "prepared"
pytestmark = pytest.mark.xdist_group("servers")


class Harm:
    """Kills the server, or a process of it, in the middle of a job."""

    def __init__(self, cluster: Cluster, crew: Workers) -> None:
        self.cluster, self.crew = cluster, crew
        self.left: dict[int, int] = {}
        self.killed = 0

    def __call__(self, run: SettlementRun) -> None:
        if not self.left.setdefault(run.id, KILLS) or self.crew.draw.random() > 0.3 or not self._working():
            return
        self.left[run.id] -= 1
        self.killed += 1
        kill_one(self.cluster, self.crew.urls, backend=bool(self.left[run.id] % 2))
        wait_until(lambda: answers(self.crew.urls), "PostgreSQL")
        connections.close_all()
        end_leases()  # a worker lives on that could not even write down that it failed

    def _working(self) -> bool:
        try:
            return SettlementJob.objects.filter(state=JobState.RUNNING).exists()
        except OperationalError:
            connections.close_all()
            return False


@contextmanager
def copy_of_prepared(urls: DatabaseUrls) -> Iterator[DatabaseUrls]:
    """A copy that Django is connected to.

    Copied as files, which ends in a checkpoint: after a copy by way of the WAL, PostgreSQL does not log the first
    numbers that a sequence gives, and gives them again after a crash.
    """
    name = f"copy_{secrets.token_hex(4)}"
    copied = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
    with psycopg.connect(_with_database(urls.owner_url, "postgres"), autocommit=True) as owner:
        owner.execute(copied.format(sql.Identifier(name), sql.Identifier(PREPARED)))
    copy = DatabaseUrls(*(_with_database(url, name) for url in (urls.app_url, urls.owner_url)))
    _connect_django(copy.app_url, copy.owner_url)
    yield copy
    _close_connections()


def prepare(cluster: Cluster) -> tuple[DatabaseUrls, Any]:
    found = cluster.start()
    urls = DatabaseUrls(*(_with_database(url, PREPARED) for url in (found.app_url, found.owner_url)))
    with psycopg.connect(_with_database(found.owner_url, "postgres"), autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(PREPARED)))
    _connect_django(urls.app_url, urls.owner_url)
    call_command("migrate", database="owner", verbosity=0)
    day = traded_day()
    _close_connections()
    return urls, day


@pytest.mark.timeout(400)
def test_a_database_killed_in_the_middle_of_runs_changes_nothing(cluster: Cluster) -> None:
    urls, day = prepare(cluster)
    with copy_of_prepared(urls):
        settle_day(day, work_off)
        undisturbed = read_outcome()
    for _ in range(SEEDS):
        seed = secrets.randbits(32)
        print("seed", seed)
        with (
            copy_of_prepared(urls) as copy,
            workers(copy, EmbeddedWire(embedded_broker_url(copy.app_url)), random.Random(seed)) as crew,
        ):
            harm = Harm(cluster, crew)
            settle_day(day, ringing(crew, disturb=harm))
            print("killed in the middle of a job:", harm.killed)
            check_settled()
            check_same(read_outcome(), undisturbed)
            crew.end()
        assert harm.killed
