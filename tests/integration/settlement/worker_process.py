"""A worker in a process of its own that may kill itself: `python -m … DIES_AT`, at its DIES_AT-th SQL statement.

Works off every settlement job that is due on the database of its environment, at a fixed time, and prints how many
statements it took. Leases are over at once, so that the next process need not wait.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import django


class Mortal:
    """Counts SQL statements, and kills the process at one of them: before it, or after it when it was odd."""

    def __init__(self, dies_at: int) -> None:
        self.dies_at = dies_at
        self.count = 0

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        self.count += 1
        if self.count == self.dies_at and self.count % 2 == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        result = execute(sql, params, many, context)
        if self.count == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def main(dies_at: int) -> None:
    django.setup()
    from django.db import connection

    from settlement.runs.jobs import due_jobs
    from settlement.runs.work import run_job
    from tests.integration.settlement.trading_day import END

    mortal = Mortal(dies_at)
    with connection.execute_wrapper(mortal):
        while jobs := due_jobs(100):
            for job_id in jobs:
                run_job(job_id, owner=f"process {os.getpid()}", now=END, lease=timedelta(0))
    print(mortal.count)


if __name__ == "__main__":
    main(int(sys.argv[1]))
