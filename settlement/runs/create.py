"""Making runs: what one covers, which usage it reads, and a job for each of its shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet

from exchange.models import Product
from ledger.actions import record_action
from ledger.models import Asset
from ledger.selectors.parties import get_currency
from settlement.errors import ContractNotDelivered, InvalidPeriod
from settlement.market import SETTLEABLE, SettledContract, contracts_to_settle, load_contracts
from settlement.metering.context import USAGE_LOCK
from settlement.models import (
    Dispute,
    JobStep,
    RunContract,
    RunKind,
    RunState,
    SettlementCalendar,
    SettlementJob,
    SettlementRun,
    UsageBatch,
)
from settlement.rules import CODE_VERSION, RULES_VERSION
from settlement.runs.calendar import dispute_deadline, due_at, value_date
from settlement.runs.calendars import calendar_of, load_versions
from settlement.runs.earlier import POSTED, last_posted_run
from settlement.runs.errors import EarlierRunMissing, HoldsReleased
from settlement.runs.shards import shards_of

_FOLLOWS = {RunKind.FINAL: RunKind.INITIAL, RunKind.TRUE_UP: RunKind.FINAL}


@transaction.atomic
def create_run(
    currency: str,
    period_start: datetime,
    period_end: datetime,
    kind: RunKind,
    *,
    actor: str,
    now: datetime,
    calendar: SettlementCalendar | None = None,
    dispute: Dispute | None = None,
) -> SettlementRun:
    """Make the run over all contracts of a currency whose delivery ended in `(period_start, period_end]`, or return it.

    Of those that follow a product's own `calendar`, or the settings' (None). Initial and indicative runs take the
    contracts that no initial run has taken; a final run takes those of the initial run of the same period, a true-up
    those of the final one; with the last of them their usage comes too late. A disputed-final run takes the contract of
    its `dispute`. Raises `InvalidPeriod`, `ContractNotDelivered`, `EarlierRunMissing` and `HoldsReleased`.
    """
    asset = get_currency(currency)
    _check_period(period_start, period_end, now)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [USAGE_LOCK])
    scope = _Scope(asset, None if calendar is None else calendar.product, calendar, period_start, period_end)
    existing = _existing(scope, kind, dispute)
    if existing is not None:
        return existing
    contracts = _covered(scope, kind, dispute)
    run = SettlementRun.objects.create(
        **scope.members(),
        **_dates(scope, kind, dispute),
        kind=kind,
        sequence=scope.alike(kind).count() + 1,
        usage_through=_usage_through(contracts, kind),
        dispute_id=None if dispute is None else dispute.pk,
        rules_version=RULES_VERSION,
        code_version=CODE_VERSION,
        created_at=now,
    )
    _make_jobs(run, contracts)
    record_action(
        actor=actor,
        action="create_settlement_run",
        subject=f"run:{currency}/{run.key}",
        now=now,
        details={"contracts": len(contracts)},
    )
    return run


def _make_jobs(run: SettlementRun, contracts: list[SettledContract]) -> None:
    shards = shards_of(contracts)
    RunContract.objects.bulk_create(
        RunContract(run=run, contract_id=contract.id, shard=shard, place=place)
        for place, (contract, shard) in enumerate(shards, start=1)
    )
    SettlementJob.objects.bulk_create(
        SettlementJob(run=run, step=JobStep.SETTLE, subject_id=shard) for shard in sorted({each for _, each in shards})
    )


@dataclass(frozen=True, slots=True)
class _Scope:
    """What runs of a period have in common."""

    currency: Asset
    product: Product | None
    calendar: SettlementCalendar | None
    period_start: datetime
    period_end: datetime

    def members(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def runs(self, kind: RunKind) -> QuerySet[SettlementRun]:
        return SettlementRun.objects.filter(**self.members(), kind=kind)

    def alike(self, kind: RunKind) -> QuerySet[SettlementRun]:
        """Runs that only their sequence tells apart: those of other versions of the calendar too."""
        named = {name: value for name, value in self.members().items() if name != "calendar"}
        return SettlementRun.objects.filter(**named, kind=kind)


def _existing(scope: _Scope, kind: RunKind, dispute: Dispute | None) -> SettlementRun | None:
    if dispute is not None:
        return SettlementRun.objects.filter(dispute_id=dispute.pk).first()
    return scope.runs(kind).first()


def _check_period(start: datetime, end: datetime, now: datetime) -> None:
    if not start < end <= now:
        raise InvalidPeriod("A settlement period ends after it starts, and is over before it is settled.")
    for moment in (start, end):
        if moment.second or moment.microsecond:
            raise InvalidPeriod("A settlement period is of whole UTC minutes.")


def _dates(scope: _Scope, kind: RunKind, dispute: Dispute | None) -> dict[str, Any]:
    """Value date and dispute deadline. Money that follows a decision is paid after that day."""
    calendar, period_end = calendar_of(scope.calendar), scope.period_end
    if dispute is not None:
        return {"value_date": value_date(dispute.decided_at or dispute.decide_by)}
    if kind not in calendar.lags:  # made by hand, outside the calendar
        return {"value_date": None if kind == RunKind.INDICATIVE else value_date(period_end)}
    return {
        "value_date": None if kind == RunKind.INDICATIVE else value_date(due_at(kind, period_end, calendar)),
        "dispute_until": dispute_deadline(kind, period_end, calendar),
    }


def _usage_through(contracts: Sequence[SettledContract], kind: RunKind) -> int:
    """The number of the last call there is, or for a dispute that of the run it is about: nothing else is reopened."""
    if kind == RunKind.DISPUTED_FINAL:
        last = SettlementRun.objects.filter(id=last_posted_run(contracts[0].id) or 0).first()
        if last is not None and last.usage_through is not None:
            return last.usage_through
    return UsageBatch.objects.order_by("-id").values_list("id", flat=True).first() or 0


def _covered(scope: _Scope, kind: RunKind, dispute: Dispute | None) -> list[SettledContract]:
    """The contracts of a run, in order of delivery. None of them is in the middle of another one."""
    if dispute is not None:
        contracts = list(load_contracts([dispute.contract_id]).values())
    elif kind in _FOLLOWS:
        earlier = scope.runs(_FOLLOWS[kind]).filter(state=RunState.PUBLISHED).first()
        if earlier is None:
            raise EarlierRunMissing(f"There is no published {_FOLLOWS[kind]} run of this period.")
        _check_held(earlier)
        covered = RunContract.objects.filter(run=earlier).values_list("contract_id", flat=True)
        contracts = list(load_contracts(covered).values())
    else:
        contracts = _untaken(scope)
    under_way = RunContract.objects.filter(
        contract_id__in=[contract.id for contract in contracts], run__kind__in=POSTED
    ).exclude(run__state=RunState.PUBLISHED)
    if under_way.exists():
        raise EarlierRunMissing("A run of these contracts is not published yet.")
    return sorted(contracts, key=lambda contract: (contract.delivery_start, contract.symbol))


def _check_held(earlier: SettlementRun) -> None:
    """What secures a contract has to be there: a calendar that gets another run later does not bring it back."""
    if SettlementJob.objects.filter(run=earlier, step=JobStep.RELEASE).exists():
        raise HoldsReleased(f"The {earlier.kind} run of this period was the last one: its bonds were released.")


def _untaken(scope: _Scope) -> list[SettledContract]:
    """Each contract is settled by one initial run, however periods overlap."""
    versions = load_versions()
    contracts = [
        contract
        for contract in contracts_to_settle(scope.currency.pk, after=scope.period_start, until=scope.period_end)
        if versions.at_gate(contract.product_id, contract.gate_close) == scope.calendar
    ]
    taken = set(
        RunContract.objects.filter(
            run__kind=RunKind.INITIAL, contract_id__in=[contract.id for contract in contracts]
        ).values_list("contract_id", flat=True)
    )
    free = [contract for contract in contracts if contract.id not in taken]
    for contract in free:
        if contract.state not in SETTLEABLE:
            raise ContractNotDelivered(
                f"{contract.symbol} is {contract.state}, not delivered.",
                contract=contract.symbol,
                state=contract.state,
            )
    return free
