"""The days of events: made ahead, so that no meter waits for a table, and told of once they were put aside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from django.db import connection

from settlement.models import DetachedDay

DAYS_AHEAD = 7


@dataclass(frozen=True, slots=True)
class UsagePartition:
    """A UTC day of events by when they were received. `rows` is PostgreSQL's estimate, None before its first one;
    `bytes` includes indexes."""

    day: date
    rows: int | None
    bytes: int
    attached: bool


def make_partitions_ahead(*, now: datetime, days: int = DAYS_AHEAD) -> None:
    """Make the tables of today and of so many days after it; those that are there stay."""
    today = now.astimezone(UTC).date()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT settlement_ensure_usage_partition(%s::date + ahead) FROM generate_series(0, %s) AS ahead",
            [today, days],
        )


def list_partitions() -> list[UsagePartition]:
    """All days there are, detached ones too, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT to_date(right(relname, 8), 'YYYYMMDD') AS received_on, nullif(reltuples, -1)::bigint,
                   pg_total_relation_size(oid),
                   EXISTS (SELECT FROM pg_inherits WHERE inhrelid = day.oid AND NOT inhdetachpending)
              FROM pg_class AS day
             WHERE relnamespace = 'public'::regnamespace AND relname ~ '^settlement_usageevent_[0-9]{8}$'
               AND relkind = 'r'
             ORDER BY received_on
            """
        )
        return [UsagePartition(*row) for row in cursor]


def contracts_put_aside() -> frozenset[int]:
    """Contracts with events on a day that is detached now."""
    records = dict(DetachedDay.objects.values_list("day", "contracts"))
    attached = {each.day for each in list_partitions() if each.attached} if records else set()
    return frozenset(contract_id for day in records.keys() - attached for contract_id in records[day])


def partition_name(day: date) -> str:
    """The table of a day, as `settlement_ensure_usage_partition` names it."""
    return f"settlement_usageevent_{day:%Y%m%d}"
