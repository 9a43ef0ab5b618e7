"""Making runs: a currency, a period, initial or final, and one job for each of its contracts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction

from ledger.actions import record_action
from ledger.selectors.parties import get_currency
from settlement.errors import ContractNotDelivered, InitialRunMissing, InvalidPeriod
from settlement.market import SETTLEABLE, SettledContract, contracts_to_settle
from settlement.metering.context import USAGE_LOCK
from settlement.models import JobStep, RunKind, RunState, SettlementJob, SettlementRun
from settlement.rules import RULES_VERSION

MINUTE = timedelta(minutes=1)


@transaction.atomic
def create_run(
    currency: str, period_start: datetime, period_end: datetime, kind: RunKind, *, actor: str, now: datetime
) -> SettlementRun:
    """Make the run over all contracts of a currency whose delivery ended in `(period_start, period_end]`, or return it.

    An initial run takes the contracts that no other one has taken; a final run takes those of the initial run of the
    same period, and from then on their usage comes too late. Raises `InvalidPeriod`, `ContractNotDelivered` and
    `InitialRunMissing`.
    """
    asset = get_currency(currency)
    _check_period(period_start, period_end, now)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [USAGE_LOCK])
    found = {"currency": asset, "period_start": period_start, "period_end": period_end, "kind": kind}
    existing = SettlementRun.objects.filter(**found).first()
    if existing is not None:
        return existing
    if kind is RunKind.INITIAL:
        contract_ids = _untaken(contracts_to_settle(asset.id, after=period_start, until=period_end))
    else:
        contract_ids = _of_initial_run(asset.id, period_start, period_end)
    run = SettlementRun.objects.create(**found, rules_version=RULES_VERSION, created_at=now)
    SettlementJob.objects.bulk_create(
        SettlementJob(run=run, step=JobStep.SETTLE, subject_id=contract_id) for contract_id in contract_ids
    )
    record_action(
        actor=actor,
        action="create_settlement_run",
        subject=f"run:{currency}/{run.key}",
        now=now,
        details={"contracts": len(contract_ids)},
    )
    return run


def _check_period(start: datetime, end: datetime, now: datetime) -> None:
    if not start < end <= now:
        raise InvalidPeriod("A settlement period ends after it starts, and is over before it is settled.")
    for moment in (start, end):
        if moment.second or moment.microsecond:
            raise InvalidPeriod("A settlement period is of whole UTC minutes.")


def _untaken(contracts: Sequence[SettledContract]) -> list[int]:
    """Each contract is settled by one initial run, however periods overlap."""
    taken = set(
        SettlementJob.objects.filter(
            step=JobStep.SETTLE, run__kind=RunKind.INITIAL, subject_id__in=[contract.id for contract in contracts]
        ).values_list("subject_id", flat=True)
    )
    free = [contract for contract in contracts if contract.id not in taken]
    for contract in free:
        if contract.state not in SETTLEABLE:
            raise ContractNotDelivered(
                f"{contract.symbol} is {contract.state}, not delivered.",
                contract=contract.symbol,
                state=contract.state,
            )
    return [contract.id for contract in free]


def _of_initial_run(currency_id: int, start: datetime, end: datetime) -> list[int]:
    initial = SettlementRun.objects.filter(
        currency_id=currency_id, period_start=start, period_end=end, kind=RunKind.INITIAL, state=RunState.PUBLISHED
    ).first()
    if initial is None:
        raise InitialRunMissing("There is no published initial run of this period.")
    return list(
        SettlementJob.objects.filter(run=initial, step=JobStep.SETTLE)
        .order_by("id")
        .values_list("subject_id", flat=True)
    )
