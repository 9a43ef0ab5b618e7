"""Writing usage, set-wise: identities and events in one transaction, whatever else happens at the same time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from django.db import connection

from settlement.metering.envelope import event_content
from settlement.models import EventStatus

_known_months: set[tuple[str, date]] = set()  # partitions this process has seen, by database


class Identity(NamedTuple):
    """What makes an event one event."""

    meter_id: int
    event_id: str


@dataclass(frozen=True, slots=True)
class UsageRow:
    """An event as it is stored; quarantined if it has a reason."""

    identity: Identity
    content_hash: bytes
    window_start: datetime
    accepted_at: datetime
    kind: str
    contract_id: int
    buyer_id: int
    provider_id: int
    request_id: str
    retry_of: str
    refusal_reason: str
    family: str
    raw: Any
    buckets: dict[str, int]
    millitokens: int
    quarantine_reason: str
    received_at: datetime


def ensure_partitions(window_starts: Iterable[datetime]) -> None:
    """Make the partitions for contracts that start then, each in a transaction of its own, if they are missing."""
    database = str(connection.settings_dict["NAME"])
    for month in sorted({moment.astimezone(UTC).date().replace(day=1) for moment in window_starts}):
        if (database, month) not in _known_months:
            with connection.cursor() as cursor:
                cursor.execute("SELECT settlement_ensure_usage_partition(%s)", [month])
            _known_months.add((database, month))


def keep_events(rows: Sequence[UsageRow]) -> dict[Identity, bytes]:
    """Write the rows (each identity once) whose identity is new; the others come back with the hash that stands."""
    if not rows:
        return {}
    # In key order, so that two batches with the same events wait for each other instead of in a circle.
    rows = sorted(rows, key=lambda row: row.identity)
    ids = _new_ids(len(rows))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO settlement_usagededup (meter_id, event_id, content_hash, usage_event_id)
            SELECT * FROM unnest(%s::bigint[], %s::text[], %s::bytea[], %s::bigint[])
            ON CONFLICT DO NOTHING RETURNING meter_id, event_id
            """,
            [
                [row.identity.meter_id for row in rows],
                [row.identity.event_id for row in rows],
                [row.content_hash for row in rows],
                ids,
            ],
        )
        new = {Identity(*identity) for identity in cursor.fetchall()}
    _insert_events([(number, row) for number, row in zip(ids, rows, strict=True) if row.identity in new])
    return _standing_hashes([row.identity for row in rows if row.identity not in new])


def keep_conflicts(conflicts: Sequence[tuple[UsageRow, bytes, Mapping[str, Any]]], now: datetime) -> None:
    """Keep the evidence of ids that came again with other content: (row, hash that stands, the event as it came)."""
    if not conflicts:
        return
    conflicts = sorted(conflicts, key=lambda conflict: (conflict[0].identity, conflict[0].content_hash))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO settlement_usageconflict (meter_id, event_id, first_hash, content_hash, raw, received_at)
            SELECT meter_id, event_id, first_hash, content_hash, raw, %s
              FROM unnest(%s::bigint[], %s::text[], %s::bytea[], %s::bytea[], %s::jsonb[])
                   AS conflict(meter_id, event_id, first_hash, content_hash, raw)
            ON CONFLICT DO NOTHING
            """,
            [
                now,
                [row.identity.meter_id for row, _, _ in conflicts],
                [row.identity.event_id for row, _, _ in conflicts],
                [before for _, before, _ in conflicts],
                [row.content_hash for row, _, _ in conflicts],
                [json.dumps(event_content(event)) for _, _, event in conflicts],
            ],
        )


def _new_ids(count: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('settlement_usageevent_id_seq') FROM generate_series(1, %s)", [count])
        return [number for (number,) in cursor.fetchall()]


def _standing_hashes(identities: Sequence[Identity]) -> dict[Identity, bytes]:
    if not identities:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT meter_id, event_id, content_hash FROM settlement_usagededup
             WHERE (meter_id, event_id) IN (SELECT * FROM unnest(%s::bigint[], %s::text[]))
            """,
            [list(column) for column in zip(*identities, strict=True)],
        )
        return {Identity(meter_id, event_id): bytes(first) for meter_id, event_id, first in cursor.fetchall()}


def _insert_events(numbered: Sequence[tuple[int, UsageRow]]) -> None:
    if not numbered:
        return
    columns = [
        (
            number,
            row.window_start,
            row.accepted_at,
            row.identity.meter_id,
            row.identity.event_id,
            row.kind,
            row.contract_id,
            row.buyer_id,
            row.provider_id,
            row.request_id,
            row.retry_of,
            row.refusal_reason,
            row.family,
            json.dumps(row.raw),
            row.content_hash,
            json.dumps(row.buckets),
            row.millitokens,
            EventStatus.QUARANTINED if row.quarantine_reason else EventStatus.ACCEPTED,
            row.quarantine_reason,
            row.received_at,
        )
        for number, row in numbered
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO settlement_usageevent (id, window_start, accepted_at, meter_id, event_id, kind, contract_id,
                                               buyer_id, provider_id, request_id, retry_of, refusal_reason, family,
                                               raw, content_hash, buckets, millitokens, status, quarantine_reason,
                                               received_at)
            SELECT * FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::bigint[], %s::text[],
                                 %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[],
                                 %s::text[], %s::text[], %s::jsonb[], %s::bytea[], %s::jsonb[], %s::bigint[],
                                 %s::text[], %s::text[], %s::timestamptz[])
            """,
            [list(column) for column in zip(*columns, strict=True)],
        )
