"""What is due and nobody did: runs whose time has come, and jobs whose doorbell was lost or whose worker died."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef

from settlement.market import ended_unsettled
from settlement.models import JobStep, RunKind, RunState, SettlementJob, SettlementRun
from settlement.runs.close import close_run, publish_run
from settlement.runs.create import create_run
from settlement.runs.jobs import due_jobs, give_up_dead_jobs

ACTOR = "settlement"
RUNG_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Schedule:
    """When runs are made by themselves: period (whole minutes, from midnight UTC; 0: never) and lags after its end."""

    period: timedelta
    initial_lag: timedelta
    final_lag: timedelta


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did: ids of runs it made and of jobs it rang for."""

    runs: tuple[int, ...]
    jobs: tuple[int, ...]


def sweep(now: datetime, *, ring: Callable[[int], object], schedule: Schedule | None = None) -> Swept:
    """Make the runs that are due, move on those that are ready, and ring for every job that somebody should do."""
    give_up_dead_jobs()
    runs = tuple(create_due_runs(now, schedule or configured_schedule()))
    _move_on(now)
    jobs = tuple(due_jobs(RUNG_AT_ONCE))
    for job_id in jobs:
        ring(job_id)
    return Swept(runs, jobs)


def configured_schedule() -> Schedule:
    """The schedule of the settings, which hold seconds."""
    return Schedule(
        period=timedelta(seconds=settings.SETTLEMENT_PERIOD_SECONDS),
        initial_lag=timedelta(seconds=settings.SETTLEMENT_INITIAL_LAG_SECONDS),
        final_lag=timedelta(seconds=settings.SETTLEMENT_FINAL_LAG_SECONDS),
    )


def create_due_runs(now: datetime, schedule: Schedule) -> list[int]:
    """Initial runs of periods that ended a lag ago with all contracts delivered, final runs a longer lag after."""
    if not schedule.period:
        return []
    made = []
    for currency, start in _due_periods(now - schedule.initial_lag, schedule.period):
        run = create_run(currency, start, start + schedule.period, RunKind.INITIAL, actor=ACTOR, now=now)
        made.append(run.id)
    initial = SettlementRun.objects.filter(
        kind=RunKind.INITIAL, state=RunState.PUBLISHED, period_end__lte=now - schedule.final_lag
    )
    same_period = {name: OuterRef(name) for name in ("currency", "period_start", "period_end")}
    done = SettlementRun.objects.filter(kind=RunKind.FINAL, **same_period)
    for run in initial.exclude(Exists(done)).select_related("currency").order_by("id"):
        final = create_run(run.currency.code, run.period_start, run.period_end, RunKind.FINAL, actor=ACTOR, now=now)
        made.append(final.id)
    return made


def _due_periods(ended: datetime, period: timedelta) -> list[tuple[str, datetime]]:
    """(currency, start) of periods that ended by then and hold delivered contracts no run has taken."""
    taken = SettlementJob.objects.filter(step=JobStep.SETTLE, run__kind=RunKind.INITIAL).values("subject_id")
    periods: dict[tuple[str, datetime], bool] = {}
    for contract in ended_unsettled(taken, until=ended):
        start = period_start(contract.delivery_end, period)
        if start + period <= ended:
            key = (contract.currency, start)
            periods[key] = periods.get(key, True) and contract.delivered
    return sorted(key for key, complete in periods.items() if complete)


def period_start(moment: datetime, period: timedelta) -> datetime:
    """The start of the period `(start, start + period]` that holds a moment; periods count from midnight UTC."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    into_day = moment - midnight
    return midnight + period * (-(-into_day // period) - 1)


def _move_on(now: datetime) -> None:
    """Close and publish what is ready. Whoever finishes last does that; here it is only made sure."""
    unpublished = SettlementRun.objects.exclude(state=RunState.PUBLISHED).order_by("id")
    for run_id, state in unpublished.values_list("id", "state"):
        with transaction.atomic():
            if state == RunState.OPEN:
                close_run(run_id, now=now)
            else:
                publish_run(run_id, now=now)
