"""Give a product a settlement calendar of its own, for contracts whose gates close from now on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from django.db import transaction

from exchange.models import Product
from exchange.rows import find_product
from ledger.actions import record_action
from settlement.models import SettlementCalendar
from settlement.runs.errors import InvalidCalendar

DAY_MINUTES = 1_440
MAX_LAG_MINUTES = 400 * DAY_MINUTES


@dataclass(frozen=True, slots=True)
class SetSettlementCalendar:
    """Periods of `period_minutes` from midnight UTC; lags in minutes after a period's end, None for no such run.

    `dispute_minutes` is how long after a run was due its lines can be disputed.
    """

    product_code: str
    period_minutes: int
    indicative_lag_minutes: int | None
    initial_lag_minutes: int
    final_lag_minutes: int
    true_up_lag_minutes: int | None
    dispute_minutes: int


@transaction.atomic
def set_settlement_calendar(command: SetSettlementCalendar, *, actor: str, now: datetime) -> SettlementCalendar:
    """Write the next version. Contracts whose gate has closed keep the calendar they had.

    Raises `UnknownProduct` and `InvalidCalendar`.
    """
    product = Product.objects.select_for_update().get(pk=find_product(command.product_code).pk)  # one version at a time
    _check(command)
    figures = {name: figure for name, figure in asdict(command).items() if name != "product_code"}
    version = SettlementCalendar.objects.filter(product=product).count() + 1
    calendar = SettlementCalendar.objects.create(
        product=product, version=version, created_at=now, created_by=actor, **figures
    )
    record_action(
        actor=actor,
        action="set_settlement_calendar",
        subject=f"product:{product.code}",
        now=now,
        details={"version": version, **figures},
    )
    return calendar


def _check(command: SetSettlementCalendar) -> None:
    if not 1 <= command.period_minutes <= DAY_MINUTES or DAY_MINUTES % command.period_minutes:
        raise InvalidCalendar("A period is of whole minutes that divide a day.", field="period_minutes")
    _check_within("initial_lag_minutes", command.initial_lag_minutes, 0)
    if command.indicative_lag_minutes is not None:
        _check_within("indicative_lag_minutes", command.indicative_lag_minutes, 0)
        if command.indicative_lag_minutes >= command.initial_lag_minutes:
            raise InvalidCalendar("The indicative run comes before the initial one.", field="indicative_lag_minutes")
    _check_within("final_lag_minutes", command.final_lag_minutes, command.initial_lag_minutes + 1)
    if command.true_up_lag_minutes is not None:
        _check_within("true_up_lag_minutes", command.true_up_lag_minutes, command.final_lag_minutes + 1)
    _check_within("dispute_minutes", command.dispute_minutes, 0)


def _check_within(field: str, minutes: int, lowest: int) -> None:
    if not lowest <= minutes <= MAX_LAG_MINUTES:
        raise InvalidCalendar(
            f"{field} must be from {lowest} to {MAX_LAG_MINUTES} minutes.",
            field=field,
            minimum=str(lowest),
            maximum=str(MAX_LAG_MINUTES),
        )
