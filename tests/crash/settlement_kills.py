"""kill -9 of settlement workers at random instants of a run, until it is published all the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import IO

import psutil
from django.db.models.functions import Now

from config.environment import CHECKOUT
from ledger.models import SimulatedClock
from settlement.commands.retry_job import RetryJob, retry_job
from settlement.errors import JobNotFailed
from settlement.models import JobState, SettlementJob, SettlementRun
from settlement.runs.jobs import MAX_ATTEMPTS
from tests.conftest import DatabaseUrls
from tests.crash.sequencers import wait_until
from tests.crash.settlement_day import is_published
from tests.crash.settlement_forks import owner

FORKS = "tests.crash.settlement_forks"
A_DAY = "1440"  # minutes of a settlement period: within the day of a test no run is made by itself
AT_ONCE = 2
LOOK_AGAIN_SECONDS = 0.01
PATIENCE_SECONDS = 120.0
OPERATOR = "operator"


@dataclass
class Forks:
    """Starts workers in next to no time. `kills` counts those that were killed while they held a job."""

    process: subprocess.Popen[str]
    draw: random.Random
    workers: list[int] = field(default_factory=list)
    kills: int = 0

    def start(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(self.draw.randrange(1 << 32), file=self.process.stdin, flush=True)
        self.workers.append(int(self.process.stdout.readline()))

    def kill(self, pid: int) -> None:
        """What it held, others may have at once: nobody waits a minute for the lease to end."""
        self.workers.remove(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not psutil.pid_exists(pid), "the worker's end")
        self.kills += end_leases(owner(pid))

    def kill_all(self) -> None:
        for pid in list(self.workers):
            self.kill(pid)

    def kill_holder(self, run: SettlementRun) -> None:
        """Kill one that surely holds a job, unless the run comes to its end before that: stopped, looked at, killed
        or let go on."""
        while not is_published(run):
            retry_given_up()
            for pid in list(self.workers):
                os.kill(pid, signal.SIGSTOP)
                if SettlementJob.objects.filter(state=JobState.RUNNING, lease_owner=owner(pid)).exists():
                    return self.kill(pid)
                os.kill(pid, signal.SIGCONT)
            time.sleep(self.draw.uniform(0, LOOK_AGAIN_SECONDS))
        return None


@contextmanager
def forks(urls: DatabaseUrls, draw: random.Random, log: IO[str] | None = None) -> Iterator[Forks]:
    process = subprocess.Popen(
        [sys.executable, "-m", FORKS],
        cwd=CHECKOUT,
        env=worker_environment(urls),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    workers = Forks(process, draw)
    try:
        yield workers
    finally:
        for pid in workers.workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.kill()
        process.communicate()


def worker_environment(urls: DatabaseUrls) -> dict[str, str]:
    return urls.environment() | {"TOKENBOURSE_CLOCK": "simulated", "TOKENBOURSE_SETTLEMENT_MINUTES": A_DAY}


def end_leases(lease_owner: str | None = None) -> int:
    """Let the leases of a dead worker end now, or everybody's, the living ones' too; how many there were."""
    running = SettlementJob.objects.filter(state=JobState.RUNNING)
    if lease_owner is not None:
        running = running.filter(lease_owner=lease_owner)
    return running.update(lease_until=Now() - timedelta(seconds=1))


def retry_given_up() -> None:
    """As an operator does who sees that a job was given up, because its worker died too often."""
    for job in SettlementJob.objects.filter(state=JobState.FAILED, attempt__gte=MAX_ATTEMPTS):
        with suppress(JobNotFailed):  # another operator was quicker
            retry_job(RetryJob(job.id, "its workers died"), actor=OPERATOR, now=SimulatedClock.objects.get(id=1).now)


def killing(workers: Forks, kills: int, pace_seconds: float) -> Callable[[SettlementRun], None]:
    """What brings a run to its end while workers die: so often at most, each time within the pace, and every other
    time surely in the middle of a job."""
    draw = workers.draw

    def work(run: SettlementRun) -> None:
        for time_of_it in range(kills):
            while len(workers.workers) < AT_ONCE:
                workers.start()
            time.sleep(draw.uniform(0, pace_seconds))
            if time_of_it % 2:
                for pid in draw.sample(workers.workers, draw.randint(1, AT_ONCE)):
                    workers.kill(pid)
            else:
                workers.kill_holder(run)
            if draw.random() < 0.3:
                end_leases()  # of whoever lives: it comes back, finds that it was given up, and writes nothing
            if is_published(run):
                return
        finish(workers, run)

    return work


def finish(workers: Forks, run: SettlementRun) -> None:
    """Undisturbed from here on."""
    if not workers.workers:
        workers.start()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_published(run):
        retry_given_up()
        assert time.monotonic() < deadline, list(SettlementJob.objects.exclude(state=JobState.DONE).values())
        time.sleep(0.02)
