"""Workers with the same job, and one that comes back after its lease has ended: whoever is fenced writes nothing."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from psycopg.conninfo import conninfo_to_dict

from settlement.models import JobState, SettlementJob, SettlementRun
from settlement.runs import work
from settlement.runs.jobs import Claim, claim_job, due_jobs, give_up_dead_jobs
from settlement.runs.work import run_job
from tests.conftest import Databases, DatabaseUrls
from tests.crash.sequencers import LONGER
from tests.crash.settlement_day import OVER, is_published, settle_day, traded_day, work_off
from tests.crash.settlement_kills import PATIENCE_SECONDS, end_leases, retry_given_up
from tests.crash.settlement_outcome import Outcome, check_same, check_settled, read_outcome

SEEDS = 2 * LONGER
CROWD = 3
SLEEPER = "sleeper"
NO_LEASE = timedelta(0)  # it ends at once: whoever comes next takes the job over


class Dawdling:
    """Before some of its SQL statements a worker waits a little, so that others overtake it."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw

    def __call__(self, execute: Callable[..., Any], query: str, params: Any, many: bool, context: Any) -> Any:
        if self.draw.random() < 0.1:
            time.sleep(self.draw.uniform(0, 0.01))
        return execute(query, params, many, context)


def crowd(draw: random.Random) -> Callable[[SettlementRun], None]:
    """Several workers that all take every job, whoever has it."""

    def work(run: SettlementRun) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS

        def one(seed: int) -> None:
            mine = random.Random(seed)
            try:
                with connection.execute_wrapper(Dawdling(mine)):
                    while not is_published(run):
                        assert time.monotonic() < deadline
                        jobs = due_jobs(100)
                        mine.shuffle(jobs)
                        for job_id in jobs:
                            run_job(job_id, owner=f"thread {seed}", now=OVER, lease=NO_LEASE)
                        give_up_dead_jobs()
                        retry_given_up()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(CROWD) as pool:
            for done in [pool.submit(one, draw.randrange(1 << 32)) for _ in range(CROWD)]:
                done.result()

    return work


@pytest.fixture
def undisturbed(database: DatabaseUrls, databases: Databases) -> tuple[Any, str, Outcome]:
    """A day, the database that holds it unsettled, and what it comes to."""
    day = traded_day()
    connections.close_all()
    source = str(conninfo_to_dict(database.owner_url)["dbname"])
    with databases.connected(databases.make(source)):
        settle_day(day, work_off)
        return day, source, read_outcome()


@pytest.mark.timeout(60 + 120 * SEEDS)
def test_workers_that_all_do_the_same_jobs_come_to_the_same(
    undisturbed: tuple[Any, str, Outcome], databases: Databases, caplog: pytest.LogCaptureFixture
) -> None:
    day, source, expected = undisturbed
    for _ in range(SEEDS):
        seed = secrets.randbits(32)
        print("seed", seed)
        with databases.connected(databases.make(source)):
            settle_day(day, crowd(random.Random(seed)))
            check_settled()
            check_same(read_outcome(), expected)
    fenced = sum("taken over" in record.getMessage() for record in caplog.records)
    print("fenced:", fenced)
    assert fenced


def test_a_worker_that_comes_back_after_its_lease_writes_nothing(
    undisturbed: tuple[Any, str, Outcome], databases: Databases, caplog: pytest.LogCaptureFixture
) -> None:
    """It stops in the middle of a job, as a machine that is suspended, until somebody else has done everything."""
    day, source, expected = undisturbed
    with databases.connected(databases.make(source)), ThreadPoolExecutor(CROWD) as pool:

        def suspended(run: SettlementRun) -> None:
            asleep, go_on = threading.Event(), threading.Event()
            (job_id, *_) = due_jobs(1)
            sleeper = pool.submit(_sleep_when_claimed, job_id, asleep, go_on)
            assert asleep.wait(PATIENCE_SECONDS)
            assert SettlementJob.objects.get(id=job_id).state == JobState.RUNNING
            assert end_leases()
            work_off(run)
            before = read_outcome()
            go_on.set()
            assert sleeper.result() == []
            check_same(read_outcome(), before)

        settle_day(day, suspended)
        check_settled()
        check_same(read_outcome(), expected)
    assert sum("taken over" in record.getMessage() for record in caplog.records) == 2  # in each run once


def _sleep_when_claimed(job_id: int, asleep: threading.Event, go_on: threading.Event) -> list[int]:
    """Do a job, but sleep when it is claimed and nothing is locked yet."""

    def sleepy(*args: Any, **named: Any) -> Claim | None:
        claim = claim_job(*args, **named)
        if claim is not None and named["owner"] == SLEEPER:
            asleep.set()
            assert go_on.wait(PATIENCE_SECONDS)
        return claim

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(work, "claim_job", sleepy)
            return run_job(job_id, owner=SLEEPER, now=OVER)
    finally:
        connections.close_all()
