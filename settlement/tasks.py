"""Celery's doorbells. A message names a job or nothing at all; lost or doubled, it costs time and never money."""

from __future__ import annotations

import os
import socket
import time

from celery import shared_task
from celery.signals import worker_ready
from django.db import connection

from ledger.clock import get_clock
from settlement.metering import partitions, reconciling, rollups
from settlement.runs import sweep as sweeping
from settlement.runs import work

ROLL_UP_NANOSECONDS = 1_500_000_000  # less than from one bell to the next


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


@shared_task(name="settlement.roll_up")
def roll_up() -> None:
    """Sum usage that came in, until nothing waits or the next bell is near."""
    end = time.monotonic_ns() + ROLL_UP_NANOSECONDS
    while rollups.roll_up(now=get_clock().now()).calls and time.monotonic_ns() < end:
        pass


@shared_task(name="settlement.reconcile")
def reconcile() -> None:
    """Hold the meters of both sides against each other, where something changed after a window's end."""
    reconciling.reconcile_due(now=get_clock().now())


@shared_task(name="settlement.make_usage_partitions")
def make_usage_partitions() -> None:
    """Make the tables of the days to come."""
    partitions.make_partitions_ahead(now=get_clock().now())


@worker_ready.connect
def make_usage_partitions_at_start(**_: object) -> None:
    """A worker that starts may follow one that was down for days."""
    make_usage_partitions.delay()


@worker_ready.connect
def collect_seldom_from_now_on(**_: object) -> None:
    """Everything is loaded."""
    work.collect_seldom()


def _forget_rung_bells() -> None:
    """The embedded broker keeps every message it has delivered; with another broker its table is empty."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM kombu_message WHERE NOT visible")
