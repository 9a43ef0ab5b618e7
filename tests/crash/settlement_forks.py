"""Settlement workers by fork, so that many can be killed in little time: `python -m tests.crash.settlement_forks`.

For each line on its standard input one worker is forked, and its process id printed. It does whatever it finds due,
in any order, until it is killed; its draws follow from the line, which is a seed.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time

import django

REST_SECONDS = 0.005


def main() -> None:
    django.setup()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the dead
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            _work(random.Random(int(line)))
        print(pid, flush=True)


def _work(draw: random.Random) -> None:
    from ledger.clock import get_clock
    from settlement.runs.jobs import due_jobs
    from settlement.runs.sweep import sweep
    from settlement.runs.work import run_job

    while True:
        sweep(get_clock().now(), ring=lambda _: None)
        jobs = due_jobs(100)
        draw.shuffle(jobs)
        for job_id in jobs:
            run_job(job_id, owner=owner(os.getpid()), now=get_clock().now())
        time.sleep(REST_SECONDS)


def owner(pid: int) -> str:
    """What the worker's leases say."""
    return f"fork {pid}"


if __name__ == "__main__":
    main()
