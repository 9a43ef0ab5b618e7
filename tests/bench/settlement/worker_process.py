"""A settlement worker in a process of its own, so that its memory and time are nobody else's.

    python -m tests.bench.settlement.worker_process

Like a worker of the Procfile it does two jobs at a time, in two threads. It works off the jobs of the open runs in
DATABASE_URL until all are published, and prints a line of JSON: the jobs it did, the seconds that those of each step
took, and how many MiB the process held at most after its first jobs and in all.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass

from tests.bench.process import ask_module, watched_memory

THREADS = 2
JOBS_AT_ONCE = 200
NAP_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class WorkOutcome:
    """What the process says."""

    jobs: int
    by_step: dict[str, float]
    first_mib: float
    peak_mib: float


def work_elsewhere(database_url: str) -> WorkOutcome:
    """Run this module on a database. Raises `CalledProcessError` when it fails."""
    return WorkOutcome(**ask_module("tests.bench.settlement.worker_process", database_url))


def work_here() -> WorkOutcome:
    """Do every job that comes up in the database that the settings name, watching this process's memory."""
    import django

    django.setup()
    from django.db import connection

    from ledger.clock import get_clock
    from settlement.models import RunState, SettlementJob, SettlementRun
    from settlement.runs.jobs import due_jobs
    from settlement.runs.work import collect_seldom, run_job

    collect_seldom()

    by_step: defaultdict[str, float] = defaultdict(float)
    done: Counter[str] = Counter()
    first_mib: list[float] = []

    def work(number: int) -> None:
        draw, owner = random.Random(os.getpid() + number), f"bench:{os.getpid()}:{number}"
        while SettlementRun.objects.exclude(state=RunState.PUBLISHED).exists():
            jobs = due_jobs(JOBS_AT_ONCE)
            if not jobs:
                time.sleep(NAP_SECONDS)  # others have the rest
            for job_id in draw.sample(jobs, len(jobs)):  # not everybody asks for the same one first
                started = time.perf_counter()
                run_job(job_id, owner=owner, now=get_clock().now())
                step, had = SettlementJob.objects.values_list("step", "lease_owner").get(pk=job_id)
                if had != owner:
                    break  # somebody else was faster, and may be with the next one; a message goes to one worker
                by_step[step] += time.perf_counter() - started
                done[step] += 1
                if len(first_mib) < THREADS:
                    first_mib.append(peak_mib())
        connection.close()

    with watched_memory() as peak_mib:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return WorkOutcome(done.total(), dict(by_step), max(first_mib, default=0.0), peak_mib())


if __name__ == "__main__":
    print(json.dumps(asdict(work_here())))
