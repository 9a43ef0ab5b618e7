"""What is due and nobody did: runs whose time has come, and jobs whose doorbell was lost or whose worker died."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef

from settlement.market import EndedContract, ended_unsettled
from settlement.models import (
    JobStep,
    RunContract,
    RunKind,
    RunState,
    SettlementCalendar,
    SettlementJob,
    SettlementRun,
)
from settlement.payments.withholding import withhold_unpayable
from settlement.runs.calendar import Calendar, period_start
from settlement.runs.calendars import calendar_of, configured_calendar, load_versions
from settlement.runs.close import all_stated, close_run, publish_run
from settlement.runs.create import create_run
from settlement.runs.errors import EarlierRunMissing
from settlement.runs.jobs import due_jobs, give_up_dead_jobs
from settlement.runs.release import make_release_jobs
from settlement.selectors.disputes import disputes_to_settle

ACTOR = "settlement"
logger = logging.getLogger(__name__)
RUNG_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did: ids of runs it made and of jobs it rang for."""

    runs: tuple[int, ...]
    jobs: tuple[int, ...]


def sweep(now: datetime, *, ring: Callable[[int], object], calendar: Calendar | None = None) -> Swept:
    """Make the runs that are due, move on those that are ready, and ring for every job that somebody should do.

    `calendar`: that of products without one of their own, instead of the settings'.
    """
    give_up_dead_jobs()
    runs = tuple(create_due_runs(now, calendar or configured_calendar()))
    _move_on(now)
    make_release_jobs(now)
    withhold_unpayable(actor=ACTOR, now=now)
    jobs = tuple(due_jobs(RUNG_AT_ONCE))
    for job_id in jobs:
        ring(job_id)
    return Swept(runs, jobs)


def create_due_runs(now: datetime, configured: Calendar) -> list[int]:
    """First runs of periods with all contracts delivered, later ones of the same periods, and those of disputes."""
    versions = load_versions()
    taken = RunContract.objects.filter(run__kind=RunKind.INITIAL).values("contract_id")
    ended: dict[SettlementCalendar | None, list[EndedContract]] = {}
    for contract in ended_unsettled(taken, until=now):
        ended.setdefault(versions.at_gate(contract.product_id, contract.gate_close), []).append(contract)
    own = [row for rows in versions.of_product.values() for row in rows]
    made = []
    for version, calendar in [(None, configured), *((row, calendar_of(row)) for row in own)]:
        if calendar.period:
            made += [run.pk for run in _first_runs(now, calendar, version, ended.get(version, []))]
            made += [run.pk for run in _later_runs(now, calendar, version)]
    return made + [run.pk for run in _runs_of_disputes(now)]


def _first_runs(
    now: datetime, calendar: Calendar, version: SettlementCalendar | None, contracts: list[EndedContract]
) -> Iterator[SettlementRun]:
    """Indicative and initial runs, of contracts that no run has taken."""
    for kind in (RunKind.INDICATIVE, RunKind.INITIAL):
        lag = calendar.lags.get(kind)
        if lag is None:
            continue
        ended = [contract for contract in contracts if contract.delivery_end <= now - lag]
        for currency, start in _complete_periods(ended, now - lag, calendar.period):
            run = _create(currency, start, start + calendar.period, kind, version, now)
            if run is not None:
                yield run


def _complete_periods(contracts: list[EndedContract], ended: datetime, period: timedelta) -> list[tuple[str, datetime]]:
    """(currency, start) of periods that ended by then and hold delivered contracts no run has taken."""
    periods: dict[tuple[str, datetime], bool] = {}
    for contract in contracts:
        start = period_start(contract.delivery_end, period)
        if start + period <= ended:
            key = (contract.currency, start)
            periods[key] = periods.get(key, True) and contract.delivered
    return sorted(key for key, complete in periods.items() if complete)


def _later_runs(now: datetime, calendar: Calendar, version: SettlementCalendar | None) -> Iterator[SettlementRun]:
    """Final runs after published initial ones, true-ups after published final ones, while what they held is held."""
    freed = SettlementJob.objects.filter(run_id=OuterRef("id"), step=JobStep.RELEASE)
    same = {name: OuterRef(name) for name in ("currency", "period_start", "period_end")}
    for before, kind in ((RunKind.INITIAL, RunKind.FINAL), (RunKind.FINAL, RunKind.TRUE_UP)):
        lag = calendar.lags.get(kind)
        if lag is None:
            continue
        done = SettlementRun.objects.filter(kind=kind, calendar=version, **same)
        earlier = SettlementRun.objects.filter(
            kind=before, calendar=version, state=RunState.PUBLISHED, period_end__lte=now - lag
        )
        open_runs = earlier.exclude(Exists(done)).exclude(Exists(freed)).select_related("currency").order_by("id")
        for run in open_runs:
            made = _create(run.currency.code, run.period_start, run.period_end, kind, version, now)
            if made is not None:
                yield made


def _runs_of_disputes(now: datetime) -> Iterator[SettlementRun]:
    for dispute in disputes_to_settle():
        run = dispute.statement.run
        try:
            yield create_run(
                dispute.statement.currency.code,
                run.period_start,
                run.period_end,
                RunKind.DISPUTED_FINAL,
                actor=ACTOR,
                now=now,
                calendar=run.calendar,
                dispute=dispute,
            )
        except EarlierRunMissing:
            continue  # another run of the contract is under way: at the next sweep


def _create(
    currency: str, start: datetime, end: datetime, kind: RunKind, version: SettlementCalendar | None, now: datetime
) -> SettlementRun | None:
    """A run, unless another one of its contracts is under way or it is there already."""
    found = {"currency__code": currency, "calendar": version, "period_start": start, "period_end": end, "kind": kind}
    if kind == RunKind.INDICATIVE and SettlementRun.objects.filter(**found).exists():
        return None
    try:
        return create_run(currency, start, end, kind, actor=ACTOR, now=now, calendar=version)
    except EarlierRunMissing:
        return None


def _move_on(now: datetime) -> None:
    """Close, sign and publish what is ready. Whoever finishes last does that; here it is only made sure.

    A run that fails is logged and holds up no other.
    """
    steps = {RunState.OPEN: close_run, RunState.STATING: all_stated, RunState.SIGNING: publish_run}
    unpublished = SettlementRun.objects.exclude(state=RunState.PUBLISHED).order_by("id")
    for run_id, state in unpublished.values_list("id", "state"):
        try:
            with transaction.atomic():
                steps[RunState(state)](run_id, now=now)
        except Exception:
            logger.exception("run %d could not be moved on", run_id)
