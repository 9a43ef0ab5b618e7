"""Which settlement calendar counts for a contract: its product's own as it stood at gate closure, or the settings'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import OuterRef, Q, QuerySet, Subquery

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


@dataclass(frozen=True, slots=True)
class Versions:
    """All products' own calendars, read once: the versions of each in their order, by product."""

    of_product: Mapping[int, list[SettlementCalendar]]

    def at_gate(self, product_id: int, gate_close: datetime) -> SettlementCalendar | None:
        """What a contract is settled by, whatever is set after its gate has closed; None: by the settings."""
        stood = (row for row in self.of_product.get(product_id, ()) if row.created_at <= gate_close)
        return max(stood, key=lambda row: row.version, default=None)


def load_versions(product_id: int | None = None) -> Versions:
    """As they are now, of all products or of one."""
    found: dict[int, list[SettlementCalendar]] = {}
    rows = SettlementCalendar.objects.select_related("product")
    if product_id is not None:
        rows = rows.filter(product_id=product_id)
    for row in rows.order_by("product_id", "version"):
        found.setdefault(row.product_id, []).append(row)
    return Versions(found)


def calendar_of(version: SettlementCalendar | None) -> Calendar:
    """The calendar of a version, or of the settings (None)."""
    return configured_calendar() if version is None else _calendar(version)


def last_kind_at_gate(product_id: int, gate_close: datetime) -> str:
    """The last scheduled run of a contract."""
    return calendar_of(load_versions(product_id).at_gate(product_id, gate_close)).last_kind


def contracts_ended_by(kind: str) -> QuerySet[Contract]:
    """Contracts whose last scheduled run is of a kind."""
    rows = SettlementCalendar.objects.all()
    ending = [row.pk for row in rows if calendar_of(row).last_kind == kind]
    found = Q(calendar_version__in=ending)
    if configured_calendar().last_kind == kind:
        found |= Q(calendar_version=None)
    stood = rows.filter(product_id=OuterRef("product_id"), created_at__lte=OuterRef("gate_close"))
    latest = Subquery(stood.order_by("-version").values("pk")[:1])
    return Contract.objects.annotate(calendar_version=latest).filter(found)


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
