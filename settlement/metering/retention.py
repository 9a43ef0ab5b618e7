"""Putting old days of events aside, whole, and bringing them back unchanged.

A detached day stays as a table of its own, append-only, that no query of the product reads; its digest proves that it
is what it was. The identities of its events stay where they are, so that none can be counted again. All of it is done
as the owner of the database, who alone may define tables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import connections, transaction
from psycopg import sql

from ledger.actions import record_action
from settlement.errors import UnknownUsageDay, UsageDayChanged, UsageDayNeeded
from settlement.metering.partitions import partition_name
from settlement.models import DetachedDay

KEEP_AT_LEAST = timedelta(days=400)  # from the day's end
OWNER = "owner"
_EVENTS = sql.Identifier("settlement_usageevent")
_COLUMNS = [  # of a request without the figures of its speed
    "received_at",
    "batch_id",
    "accepted_at",
    "event_time",
    "meter_id",
    "contract_id",
    "buyer_id",
    "provider_id",
    "input_uncached",
    "input_cache_read",
    "input_cache_write_short",
    "input_cache_write_long",
    "input_tool",
    "output_visible",
    "output_reasoning",
    "unexplained",
    "millitokens",
    "place",
    "requests",
    "adapter_version",
    "kind",
    "event_id",
    "content_hash",
    "request_id",
    "family",
    "raw",
    "retry_of",
    "refusal_reason",
    "quarantine_reason",
    "supersedes",
    "why",
    "records_root",
]


@dataclass(frozen=True, slots=True)
class _Content:
    """What a day's table holds."""

    rows: int
    contracts: list[int]
    digest: bytes


def attached_days(*, before: date) -> list[date]:
    """Days before `before` whose events are read, oldest first; also those whose detaching was interrupted."""
    rows = _fetch(
        """
        SELECT to_date(right(relname, 8), 'YYYYMMDD') AS day FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
         WHERE inhparent = 'settlement_usageevent'::regclass
        """
    )
    return sorted(day for (day,) in rows if day < before)


def check_not_needed(day: date, *, now: datetime) -> None:
    """Whether a day may be put aside. Raises `UsageDayNeeded`: it is too young, or somebody still has use for it."""
    start, end = _bounds(day)
    if end + KEEP_AT_LEAST > now:
        raise UsageDayNeeded(f"{day} is kept for {KEEP_AT_LEAST.days} days.", day=str(day))
    if _fetch("SELECT FROM settlement_pendingrollup WHERE received_at >= %s AND received_at < %s LIMIT 1", start, end):
        raise UsageDayNeeded(f"Calls of {day} wait to be rolled up; let the worker run first.", day=str(day))
    unsettled = _fetch(
        sql.SQL("""
            SELECT contract.symbol FROM exchange_contract AS contract
             WHERE contract.id IN (SELECT contract_id FROM {day})
               AND NOT (contract.state = 'cancelled' AND contract.cancelled_at < contract.delivery_start)
               AND NOT EXISTS (
                   SELECT FROM settlement_runcontract AS covered
                     JOIN settlement_settlementrun AS run ON run.id = covered.run_id
                    WHERE covered.contract_id = contract.id AND run.kind = 'final' AND run.state = 'published')
             ORDER BY contract.symbol LIMIT 3
        """).format(day=_table(day))
    )
    if unsettled:
        symbols = ", ".join(symbol for (symbol,) in unsettled)
        raise UsageDayNeeded(f"{day} has usage of contracts without a published final run: {symbols}.", day=str(day))


def detach_day(day: date, *, actor: str, now: datetime) -> DetachedDay:
    """Write down what a day holds, then take it out of the events. After an interruption, do it again.

    Meters and readers go on meanwhile. Raises `UsageDayNeeded`, `UnknownUsageDay`, and `UsageDayChanged` if the day was
    put aside before and is no longer what it was then.
    """
    if day not in attached_days(before=day + timedelta(days=1)):
        raise UnknownUsageDay(f"There is no day {day} among the events.", day=str(day))
    check_not_needed(day, now=now)
    content = _read(day)
    record = DetachedDay.objects.using(OWNER).filter(day=day).first()
    if record is None:
        record = DetachedDay.objects.using(OWNER).create(
            day=day,
            rows=content.rows,
            digest=content.digest,
            contracts=content.contracts,
            detached_at=now,
            actor=actor,
        )
    _check_unchanged(record, content)
    _record("detach_usage_day", record, actor, now)
    pending = _fetch("SELECT FROM pg_inherits WHERE inhrelid = %s::regclass AND inhdetachpending", partition_name(day))
    manner = sql.SQL("FINALIZE" if pending else "CONCURRENTLY")
    _execute(sql.SQL("ALTER TABLE {} DETACH PARTITION {} {}").format(_EVENTS, _table(day), manner))
    return record


def attach_day(day: date, *, actor: str, now: datetime) -> DetachedDay:
    """Bring a detached day back among the events, if it is what it was.

    Raises `UnknownUsageDay` and `UsageDayChanged`.
    """
    record = DetachedDay.objects.using(OWNER).filter(day=day).first()
    exists = _fetch("SELECT to_regclass(%s) IS NOT NULL", partition_name(day))[0][0]
    if record is None or not exists or day in attached_days(before=day + timedelta(days=1)):
        raise UnknownUsageDay(f"{day} is not a detached day; `manage.py usage_partitions` lists them.", day=str(day))
    _check_unchanged(record, _read(day))
    start, end = _bounds(day)
    with transaction.atomic(using=OWNER):
        _execute(
            sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                _EVENTS, _table(day), sql.Literal(start.isoformat()), sql.Literal(end.isoformat())
            )
        )
    _record("attach_usage_day", record, actor, now)
    return record


def _read(day: date) -> _Content:
    rows, contracts = _fetch(sql.SQL("SELECT count(*), array_agg(DISTINCT contract_id) FROM {}").format(_table(day)))[0]
    digest = hashlib.sha256()
    _digest(digest, sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)), _table(day))
    # Apart, and only if there are any: what was put aside before requests had them keeps its digest.
    timed = sql.SQL("{} WHERE ttft_ms IS NOT NULL OR output_ms IS NOT NULL").format(_table(day))
    if _fetch(sql.SQL("SELECT FROM {} LIMIT 1").format(timed)):
        _digest(digest, sql.SQL("received_at, batch_id, place, ttft_ms, output_ms"), timed)
    return _Content(rows, contracts or [], digest.digest())


def _digest(digest: Any, columns: sql.Composable, rows: sql.Composable) -> None:
    """Add rows to a digest, in the binary form of COPY."""
    owner = connections[OWNER]
    owner.ensure_connection()
    ordered = sql.SQL("COPY (SELECT {} FROM {} ORDER BY received_at, batch_id, place) TO STDOUT (FORMAT binary)")
    with owner.connection.cursor() as cursor, cursor.copy(ordered.format(columns, rows)) as copy:
        for data in copy:
            digest.update(data)


def _check_unchanged(record: DetachedDay, content: _Content) -> None:
    if bytes(record.digest) != content.digest:
        raise UsageDayChanged(
            f"{record.day} is not what it was when it was put aside ({content.rows} events now, {record.rows} then). "
            "Restore its table from a backup.",
            day=str(record.day),
            digest=content.digest.hex(),
            recorded_digest=bytes(record.digest).hex(),
        )


def _record(action: str, record: DetachedDay, actor: str, now: datetime) -> None:
    record_action(
        actor=actor,
        action=action,
        subject=f"usage:{record.day}",
        now=now,
        details={"rows": str(record.rows), "digest": bytes(record.digest).hex()},
    )


def _bounds(day: date) -> tuple[datetime, datetime]:
    start = datetime.combine(day, time(), UTC)
    return start, start + timedelta(days=1)


def _table(day: date) -> sql.Identifier:
    return sql.Identifier(partition_name(day))


def _fetch(query: str | sql.Composable, *parameters: Any) -> Sequence[tuple[Any, ...]]:
    with connections[OWNER].cursor() as cursor:
        cursor.execute(query, parameters or None)
        rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _execute(statement: sql.Composable) -> None:
    with connections[OWNER].cursor() as cursor:
        cursor.execute(statement)
