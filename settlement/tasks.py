"""Celery's doorbells. A message names a job or nothing at all; lost or doubled, it costs time and never money."""

from __future__ import annotations

import os
import socket

from celery import shared_task
from django.db import connection

from ledger.clock import get_clock
from settlement.runs import sweep as sweeping
from settlement.runs import work


@shared_task(name="settlement.run_job")
def run_job(job_id: int) -> None:
    """Do one job, and ring for those that became due by it."""
    owner = f"{socket.gethostname()}:{os.getpid()}"
    for next_id in work.run_job(job_id, owner=owner, now=get_clock().now()):
        run_job.delay(next_id)


@shared_task(name="settlement.sweep")
def sweep() -> None:
    """Make runs that are due and ring for jobs that somebody should do."""
    _forget_rung_bells()
    sweeping.sweep(get_clock().now(), ring=run_job.delay)


def _forget_rung_bells() -> None:
    """The embedded broker keeps every message it has delivered; with another broker its table is empty."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM kombu_message WHERE NOT visible")
