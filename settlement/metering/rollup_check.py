"""The sums by minute made from all events again: to prove the ones that are kept, or to mend them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from psycopg import sql

from settlement.metering.partitions import contracts_put_aside
from settlement.metering.rollups import FIGURES, ROLLUP_LOCK, rollup_statement
from settlement.models import UsageMinute

DIFFERENCES_TOLD = 1_000

# The events of all calls but those that wait, and with -1 what corrections in these calls replaced, as the roll-up has
# it. One statement, so one snapshot: calls and roll-ups that are committed meanwhile are in it with both or neither.
_EXPECTED = rollup_statement("""
    WITH signed AS (
        SELECT 1 AS sign, event.* FROM settlement_usageevent AS event
         WHERE quarantine_reason IS NULL
           AND NOT EXISTS (SELECT FROM settlement_pendingrollup AS waiting WHERE waiting.batch_id = event.batch_id)
        UNION ALL
        SELECT -1, event.*
          FROM settlement_usagesupersession AS replaced
          JOIN settlement_usagededup AS place USING (meter_id, event_id)
          JOIN settlement_usagebatch AS batch ON batch.id = place.batch_id
          JOIN settlement_usageevent AS event
            ON event.received_at = batch.received_at AND event.batch_id = place.batch_id AND event.place = place.place
         WHERE event.quarantine_reason IS NULL
           AND NOT EXISTS (SELECT FROM settlement_pendingrollup AS waiting WHERE waiting.batch_id = replaced.batch_id)
    )
    SELECT contract_id, buyer_id, provider_id, meter.side,
           date_bin('1 minute', accepted_at, timestamptz 'epoch') AS minute, {summed}
      FROM signed JOIN settlement_meter AS meter ON meter.id = signed.meter_id
     WHERE kind <> 'void' AND contract_id <> ALL(%(aside)s)
     GROUP BY contract_id, buyer_id, provider_id, meter.side, minute
""")
_NOT_ALL_ZERO = sql.SQL("({figures}) <> ({zeros})").format(
    figures=sql.SQL(", ").join(map(sql.Identifier, FIGURES)), zeros=sql.SQL(", ").join([sql.Literal(0)] * len(FIGURES))
)
_DIFFERENT = rollup_statement(
    """
    WITH expected AS MATERIALIZED (SELECT * FROM ({expected}) AS sums WHERE {not_all_zero}),
    stored AS MATERIALIZED (
        SELECT {key}, {figures} FROM settlement_usageminute WHERE contract_id <> ALL(%(aside)s) AND {not_all_zero}),
    surplus AS (TABLE stored EXCEPT TABLE expected),
    missing AS (TABLE expected EXCEPT TABLE stored)
    SELECT {key}, {stored_and_expected} FROM surplus FULL JOIN missing USING ({key}) ORDER BY {key} LIMIT %(limit)s
    """,
    expected=_EXPECTED,
    not_all_zero=_NOT_ALL_ZERO,
    stored_and_expected=sql.SQL(", ").join(
        sql.SQL("coalesce(surplus.{0}, 0), coalesce(missing.{0}, 0)").format(sql.Identifier(name)) for name in FIGURES
    ),
)
_REBUILD = rollup_statement("INSERT INTO settlement_usageminute ({key}, {figures}) {expected}", expected=_EXPECTED)


@dataclass(frozen=True, slots=True)
class Difference:
    """A minute of a pair and side whose sums are not what the events come to: `figures` by name, (stored, expected)."""

    contract_id: int
    buyer_id: int
    provider_id: int
    side: str
    minute: datetime
    figures: Mapping[str, tuple[int, int]]


def find_differences(*, limit: int = DIFFERENCES_TOLD) -> list[Difference]:
    """The first minutes whose sums differ from all events that are in the sums, in the order of their key.

    Contracts that have a detached day are not looked at: their events are not all there.
    """
    with connection.cursor() as cursor:
        cursor.execute(_DIFFERENT, {"aside": list(contracts_put_aside()), "limit": limit})
        return [_difference(row) for row in cursor]


@transaction.atomic
def rebuild() -> None:
    """Make all sums anew from the events, but those of contracts with a detached day. Roll-ups do nothing meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ROLLUP_LOCK])
        aside = list(contracts_put_aside())
        UsageMinute.objects.exclude(contract_id__in=aside).delete()
        cursor.execute(_REBUILD, {"aside": aside})


def _difference(row: tuple[Any, ...]) -> Difference:
    contract_id, buyer_id, provider_id, side, minute, *figures = row
    pairs = zip(FIGURES, map(int, figures[::2]), map(int, figures[1::2]), strict=True)
    differing = {name: (stored, expected) for name, stored, expected in pairs if stored != expected}
    return Difference(contract_id, buyer_id, provider_id, side, minute, differing)
