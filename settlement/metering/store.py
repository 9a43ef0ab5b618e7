"""Writing a call: its identities, its events, its conflicts and itself, each set-wise and in key order.

The identity is written first. What does not come back as new is stored already, by another call or by this one, and
two calls with the same events wait for each other there, never in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from django.db import connection
from psycopg import Cursor

from ledger.packing import (
    PackedArray,
    pack_bytes_or_null,
    pack_digests,
    pack_instants,
    pack_int4,
    pack_int4_or_null,
    pack_int8,
    pack_texts,
    pack_texts_or_null,
)
from settlement.metering.judge import Judged, JudgedWatermark
from settlement.models import UsageBatch

_known_days: set[tuple[str, date]] = set()  # partitions this process has seen, by database

_WRITE_IDENTITIES = """
INSERT INTO settlement_usagededup (meter_id, batch_id, place, event_id, content_hash)
SELECT meter_id, %s, place, event_id, content_hash
  FROM unnest(%s::bigint[], %s::int[], %s::text[], %s::bytea[]) AS event(meter_id, place, event_id, content_hash)
 ORDER BY meter_id, event_id COLLATE "C", place
ON CONFLICT DO NOTHING RETURNING place
"""
# Looked up one by one, whatever the planner thinks of the table's size.
_FIND_STANDING = """
SELECT asked.place, known.content_hash
  FROM unnest(%s::bigint[], %s::int[], %s::text[]) AS asked(meter_id, place, event_id)
 CROSS JOIN LATERAL (SELECT content_hash FROM settlement_usagededup AS known
                      WHERE known.meter_id = asked.meter_id AND known.event_id = asked.event_id OFFSET 0) AS known
"""
_WRITE_CONFLICTS = """
INSERT INTO settlement_usageconflict (meter_id, event_id, first_hash, content_hash, raw, received_at)
SELECT meter_id, event_id, first_hash, content_hash, raw, %s
  FROM unnest(%s::bigint[], %s::text[], %s::bytea[], %s::bytea[], %s::bytea[])
       AS conflict(meter_id, event_id, first_hash, content_hash, raw)
 ORDER BY meter_id, event_id COLLATE "C", content_hash
ON CONFLICT DO NOTHING
"""
_WRITE_BATCH = """
INSERT INTO settlement_usagebatch (id, party_id, actor, received_at, body_digest, accepted, duplicates, conflicts,
                                   quarantined, rejected)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_WRITE_PENDING = "INSERT INTO settlement_pendingrollup (batch_id, received_at) VALUES (%s, %s)"
# Column of the table, and the type it is sent as.
_COLUMNS = {
    "place": "int",
    "accepted_at": "timestamptz",
    "event_time": "timestamptz",
    "meter_id": "bigint",
    "contract_id": "bigint",
    "buyer_id": "bigint",
    "provider_id": "bigint",
    "input_uncached": "bigint",
    "input_cache_read": "bigint",
    "input_cache_write_short": "bigint",
    "input_cache_write_long": "bigint",
    "input_tool": "bigint",
    "output_visible": "bigint",
    "output_reasoning": "bigint",
    "unexplained": "bigint",
    "millitokens": "bigint",
    "requests": "int",
    "adapter_version": "int",
    "kind": "text",
    "event_id": "text",
    "content_hash": "bytea",
    "request_id": "text",
    "family": "text",
    "raw": "bytea",
    "retry_of": "text",
    "refusal_reason": "text",
    "quarantine_reason": "text",
    "supersedes": "text",
    "why": "text",
    "records_root": "bytea",
    "ttft_ms": "int",
    "output_ms": "int",
}
_WRITE_EVENTS = (
    f"INSERT INTO settlement_usageevent (batch_id, received_at, {', '.join(_COLUMNS)})"  # noqa: S608  # names alone
    f" SELECT %s::bigint, %s::timestamptz, event.*"
    f" FROM unnest({', '.join(f'%s::{kind}[]' for kind in _COLUMNS.values())}) AS event"
)


class Conflict(NamedTuple):
    """An event whose id came before with other content, and the hash of what stands."""

    item: Judged | JudgedWatermark
    first_hash: bytes


def ensure_partition(received_at: datetime) -> None:
    """Make the day's partition if it is missing. Usually it was made days ago."""
    day = received_at.astimezone(UTC).date()
    known = (str(connection.settings_dict["NAME"]), day)
    if known not in _known_days:
        with connection.cursor() as cursor:
            cursor.execute("SELECT settlement_ensure_usage_partition(%s)", [day])
        _known_days.add(known)


def next_batch_id() -> int:
    """The number of a call, unused even if its transaction fails."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('settlement_usagebatch_id_seq')")
        return int(cursor.fetchone()[0])


def write_identities(cursor: Cursor[Any], items: Sequence[Judged | JudgedWatermark], *, batch_id: int) -> set[int]:
    """Write the identities that are new; their places. Of one that is in the call twice, the first."""
    if not items:
        return set()
    cursor.execute(
        _WRITE_IDENTITIES,
        [batch_id, *_identities(items), pack_digests([item.report.content_hash for item in items])],
        binary=True,
    )
    return {place for (place,) in cursor.fetchall()}


def standing_hashes(cursor: Cursor[Any], items: Sequence[Judged | JudgedWatermark]) -> dict[int, bytes]:
    """By place, the content hash that stands under the identity of each."""
    if not items:
        return {}
    cursor.execute(_FIND_STANDING, _identities(items), binary=True)
    return dict(cursor.fetchall())


def write_events(cursor: Cursor[Any], new: Sequence[Judged], *, batch_id: int, received_at: datetime) -> None:
    """Write events whose identity is new."""
    if new:
        cursor.execute(_WRITE_EVENTS, [batch_id, received_at, *_event_columns(new)])


def write_conflicts(cursor: Cursor[Any], conflicts: Sequence[Conflict], now: datetime) -> None:
    """Keep the evidence of ids that came again with other content, each content once."""
    if not conflicts:
        return
    reports = [conflict.item.report for conflict in conflicts]
    cursor.execute(
        _WRITE_CONFLICTS,
        [
            now,
            pack_int8([conflict.item.meter_id for conflict in conflicts]),
            pack_texts([report.event_id for report in reports]),
            pack_digests([conflict.first_hash for conflict in conflicts]),
            pack_digests([report.content_hash for report in reports]),
            pack_bytes_or_null([report.event for report in reports]),
        ],
    )


def write_batch(cursor: Cursor[Any], batch: UsageBatch, *, rolls_up: bool) -> None:
    """Write down the call itself, to be rolled up if it brought anything new."""
    cursor.execute(
        _WRITE_BATCH,
        [
            batch.id,
            batch.party_id,
            batch.actor,
            batch.received_at,
            bytes(batch.body_digest),
            batch.accepted,
            batch.duplicates,
            batch.conflicts,
            batch.quarantined,
            batch.rejected,
        ],
    )
    if rolls_up:
        cursor.execute(_WRITE_PENDING, [batch.id, batch.received_at])


def _identities(items: Sequence[Judged | JudgedWatermark]) -> list[PackedArray]:
    return [
        pack_int8([item.meter_id for item in items]),
        pack_int4([item.place for item in items]),
        pack_texts([item.report.event_id for item in items]),
    ]


def _event_columns(new: Sequence[Judged]) -> list[PackedArray]:
    """In the order of `_COLUMNS`."""
    reports = [judged.report for judged in new]
    buckets = [judged.buckets for judged in new]
    return [
        pack_int4([judged.place for judged in new]),
        pack_instants([report.accepted_at for report in reports]),
        pack_instants([report.event_time for report in reports]),
        pack_int8([judged.meter_id for judged in new]),
        pack_int8([judged.contract_id for judged in new]),
        pack_int8([judged.buyer_id for judged in new]),
        pack_int8([judged.provider_id for judged in new]),
        pack_int8([bucket.input_uncached for bucket in buckets]),
        pack_int8([bucket.input_cache_read for bucket in buckets]),
        pack_int8([bucket.input_cache_write_short for bucket in buckets]),
        pack_int8([bucket.input_cache_write_long for bucket in buckets]),
        pack_int8([bucket.input_tool for bucket in buckets]),
        pack_int8([bucket.output_visible for bucket in buckets]),
        pack_int8([bucket.output_reasoning for bucket in buckets]),
        pack_int8([bucket.unexplained for bucket in buckets]),
        pack_int8([judged.millitokens for judged in new]),
        pack_int4([report.requests for report in reports]),
        pack_int4([judged.adapter_version for judged in new]),
        pack_texts([report.kind for report in reports]),
        pack_texts([report.event_id for report in reports]),
        pack_digests([report.content_hash for report in reports]),
        pack_texts([report.request_id for report in reports]),
        pack_texts([report.family for report in reports]),
        pack_bytes_or_null([report.raw for report in reports]),
        pack_texts_or_null([report.retry_of for report in reports]),
        pack_texts_or_null([report.refusal for report in reports]),
        pack_texts_or_null([judged.reason for judged in new]),
        pack_texts_or_null([report.supersedes for report in reports]),
        pack_texts_or_null([report.why for report in reports]),
        pack_bytes_or_null([report.records_root for report in reports]),
        pack_int4_or_null([report.ttft_ms for report in reports]),
        pack_int4_or_null([report.output_ms for report in reports]),
    ]
