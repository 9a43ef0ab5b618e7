"""manage.py settlement_status: the latest runs step by step, and jobs that failed or that nobody has done for long."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from settlement.models import JobState, RunState
from settlement.selectors.run_progress import steps_of
from settlement.selectors.runs import list_jobs, list_runs
from settlement.statements.document import format_time

RUNS_SHOWN = 20


class Command(BaseCommand):
    help = (
        "Shows the latest settlement runs, how far each step is, the oldest lease, and failed jobs with their errors."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        runs = list(list_runs().select_related("product")[:RUNS_SHOWN])
        if not runs:
            self.stdout.write("No run yet: the first one comes some time after the first delivery is over.")
        steps = steps_of([run.pk for run in runs])
        for run in runs:
            mark = "  " if run.state == RunState.PUBLISHED else "* "
            self.stdout.write(f"{mark}run {run.pk} {run.currency.code}/{run.key} {run.state}")
            for step in steps[run.pk]:
                failed = f", {step.failed} failed" if step.failed else ""
                self.stdout.write(f"      {step.words}: {step.done} of {step.total} done{failed}")
        held = list_jobs().filter(state=JobState.RUNNING, lease_until__isnull=False).order_by("lease_until").first()
        if held is not None and held.lease_until is not None:
            until = format_time(held.lease_until)
            self.stdout.write(
                f"oldest lease: job {held.pk} ({held.step} {held.subject_id}), {held.lease_owner}, to {until}"
            )
        for job in list_jobs().filter(state=JobState.FAILED):
            self.stdout.write(f"! job {job.pk} ({job.step} {job.subject_id}), attempt {job.attempt}: {job.error}")
