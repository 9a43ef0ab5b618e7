"""Which settlement calendar counts: that of the settings, or a product's own."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Q, QuerySet

from exchange.models import Contract
from settlement.models import SettlementCalendar
from settlement.runs.calendar import Calendar


def configured_calendar() -> Calendar:
    """The calendar of the settings, which hold seconds; for all products without one of their own."""
    indicative, true_up = settings.SETTLEMENT_INDICATIVE_LAG_SECONDS, settings.SETTLEMENT_TRUE_UP_LAG_SECONDS
    return Calendar(
        period=timedelta(seconds=settings.SETTLEMENT_PERIOD_SECONDS),
        initial_lag=timedelta(seconds=settings.SETTLEMENT_INITIAL_LAG_SECONDS),
        final_lag=timedelta(seconds=settings.SETTLEMENT_FINAL_LAG_SECONDS),
        indicative_lag=None if indicative is None else timedelta(seconds=indicative),
        true_up_lag=None if true_up is None else timedelta(seconds=true_up),
        dispute=timedelta(seconds=settings.SETTLEMENT_DISPUTE_SECONDS),
    )


def product_calendars() -> dict[int, Calendar]:
    """The latest own calendar of each product that has one."""
    rows = SettlementCalendar.objects.order_by("product_id", "-version").distinct("product_id")
    return {row.product_id: _calendar(row) for row in rows}


def calendar_of(product_id: int | None) -> Calendar:
    """The calendar of runs of a product, or of those of all without one of their own (None)."""
    if product_id is None:
        return configured_calendar()
    return product_calendars().get(product_id) or configured_calendar()


def last_kind_of(product_id: int) -> str:
    """The last scheduled run of a product's contracts."""
    return calendar_of(product_id).last_kind


def contracts_ended_by(kind: str) -> QuerySet[Contract]:
    """Contracts whose last scheduled run is of a kind."""
    own = {product_id: calendar.last_kind for product_id, calendar in product_calendars().items()}
    found = Q(product_id__in=[product_id for product_id, last_kind in own.items() if last_kind == kind])
    if configured_calendar().last_kind == kind:
        found |= ~Q(product_id__in=own)
    return Contract.objects.filter(found)


def _calendar(row: SettlementCalendar) -> Calendar:
    def minutes(count: int | None) -> timedelta | None:
        return None if count is None else timedelta(minutes=count)

    return Calendar(
        period=timedelta(minutes=row.period_minutes),
        initial_lag=timedelta(minutes=row.initial_lag_minutes),
        final_lag=timedelta(minutes=row.final_lag_minutes),
        indicative_lag=minutes(row.indicative_lag_minutes),
        true_up_lag=minutes(row.true_up_lag_minutes),
        dispute=timedelta(minutes=row.dispute_minutes),
    )
