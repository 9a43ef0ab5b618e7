"""manage.py settlement_status: the latest runs, and jobs that failed."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from settlement.models import JobState, RunState
from settlement.selectors.runs import list_jobs, list_runs, progress_of

RUNS_SHOWN = 20


class Command(BaseCommand):
    help = "Shows the latest settlement runs, and jobs that failed with their errors."

    def handle(self, *args: Any, **options: Any) -> None:
        runs = list(list_runs()[:RUNS_SHOWN])
        progress = progress_of([run.id for run in runs])
        for run in runs:
            mark = "  " if run.state == RunState.PUBLISHED else "* "
            jobs = progress[run.id]
            done = f"{jobs.done} of {jobs.total} jobs done, {jobs.failed} failed"
            self.stdout.write(f"{mark}run {run.id} {run.currency.code}/{run.key} {run.state}: {done}")
        for job in list_jobs().filter(state=JobState.FAILED):
            self.stdout.write(f"! job {job.id} ({job.step} {job.subject_id}), attempt {job.attempt}: {job.error}")
