"""Summing usage by minute, outside the request path: a queue of calls, in bounded steps that can stop anywhere.

Sums of a call and its leaving the queue are one transaction, so it is counted once, in whatever order calls were
committed. Everything happens inside PostgreSQL, so memory does not grow with the number of events.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import DataError, IntegrityError, connection, transaction
from psycopg import sql

from settlement.metering.buckets import SETTLED_BUCKETS
from settlement.metering.reconcile_queue import enqueue

logger = logging.getLogger(__name__)

_Waiting = tuple[int, datetime, int]  # a call, when it came, and its events

ROLLUP_LOCK = 0x746B_0002  # held by whoever writes sums
CALLS_A_STEP = 500
EVENTS_A_STEP = 200_000

KEY = ("contract_id", "buyer_id", "provider_id", "side", "minute")
COUNTS = ("started", "completed", "refused")
_BUCKETS = tuple(bucket.value for bucket in SETTLED_BUCKETS)
FIGURES = (*COUNTS, *_BUCKETS, "millitokens", "refused_millitokens")

_SERVED = "kind IN ('completed', 'aggregate')"
_EXPRESSIONS = {
    "started": "sum(sign) FILTER (WHERE kind = 'started')",
    "completed": f"sum(sign * requests) FILTER (WHERE {_SERVED})",
    "refused": "sum(sign) FILTER (WHERE kind = 'refused')",
    "refused_millitokens": "sum(sign * millitokens) FILTER (WHERE kind = 'refused')",
} | {name: f"sum(sign * {name}) FILTER (WHERE {_SERVED})" for name in (*_BUCKETS, "millitokens")}


def rollup_statement(text: str, **parts: sql.Composable) -> sql.Composed:
    """SQL over signed events, with places for the columns of the sums and for what they are computed by."""
    return sql.SQL(text).format(
        key=sql.SQL(", ").join(map(sql.Identifier, KEY)),
        figures=sql.SQL(", ").join(map(sql.Identifier, FIGURES)),
        summed=sql.SQL(", ").join(sql.SQL(f"coalesce({_EXPRESSIONS[name]}, 0) AS {name}") for name in FIGURES),
        **parts,
    )


# Accepted events of the calls with sign 1, and with -1 what corrections in these calls replaced, if it was accepted. It
# may be in a call that is still waiting, whose sums then come later: the order does not matter to a sum.
# OFFSET 0 holds the planner to looking up by primary keys, whatever it believes of a young partition.
_ROLL_UP = rollup_statement(
    """
    WITH call AS MATERIALIZED (
        SELECT * FROM unnest(%(calls)s::bigint[], %(received)s::timestamptz[]) AS call(batch_id, received_at)
    ), signed AS (
        SELECT 1 AS sign, event.*
          FROM call CROSS JOIN LATERAL (
               SELECT * FROM settlement_usageevent
                WHERE received_at = call.received_at AND batch_id = call.batch_id AND quarantine_reason IS NULL
               OFFSET 0) AS event
        UNION ALL
        SELECT -1, event.*
          FROM settlement_usagesupersession AS replaced
         CROSS JOIN LATERAL (
               SELECT batch_id, place FROM settlement_usagededup
                WHERE meter_id = replaced.meter_id AND event_id = replaced.event_id
               OFFSET 0) AS place
          JOIN settlement_usagebatch AS batch ON batch.id = place.batch_id
         CROSS JOIN LATERAL (
               SELECT * FROM settlement_usageevent
                WHERE received_at = batch.received_at AND batch_id = place.batch_id
                  AND settlement_usageevent.place = place.place AND quarantine_reason IS NULL
               OFFSET 0) AS event
         WHERE replaced.batch_id = ANY(%(calls)s)
    ), summed AS (
        INSERT INTO settlement_usageminute AS standing ({key}, {figures})
        SELECT contract_id, buyer_id, provider_id, meter.side,
               date_bin('1 minute', accepted_at, timestamptz 'epoch') AS minute, {summed}
          FROM signed JOIN settlement_meter AS meter ON meter.id = signed.meter_id
         WHERE kind <> 'void'
         GROUP BY contract_id, buyer_id, provider_id, meter.side, minute
         ORDER BY contract_id, buyer_id, provider_id, meter.side, minute
        ON CONFLICT ({key}) DO UPDATE SET {added}
        RETURNING contract_id
    ), counted AS (
        DELETE FROM settlement_pendingrollup WHERE batch_id = ANY(%(calls)s)
    )
    SELECT contract_id FROM summed
    UNION
    SELECT contract_id FROM settlement_usagewatermark WHERE batch_id = ANY(%(calls)s)
    ORDER BY contract_id
""",
    added=sql.SQL(", ").join(
        sql.SQL("{0} = standing.{0} + excluded.{0}").format(sql.Identifier(name)) for name in FIGURES
    ),
)

# The lowest calls, and no more of them than have so many events together; one at least. Calls that failed come last.
_WAITING = """
    SELECT batch_id, received_at, events FROM (
        SELECT waiting.batch_id, waiting.received_at, batch.accepted + batch.quarantined AS events,
               sum(batch.accepted + batch.quarantined) OVER (ORDER BY failures, waiting.batch_id) AS so_far, failures
          FROM (SELECT * FROM settlement_pendingrollup ORDER BY failures, batch_id LIMIT %s) AS waiting
          JOIN settlement_usagebatch AS batch ON batch.id = waiting.batch_id
    ) AS queue
     WHERE so_far <= %s OR so_far = events
     ORDER BY failures, batch_id
"""
_POSTPONE = "UPDATE settlement_pendingrollup SET failures = failures + 1 WHERE batch_id = %s"


@dataclass(frozen=True, slots=True)
class RolledUp:
    """What a step counted: calls, the events in them, and the contracts that they changed or completed."""

    calls: int
    events: int
    contracts: tuple[int, ...]


_NOTHING = RolledUp(0, 0, ())


@transaction.atomic
def roll_up(*, now: datetime, calls: int = CALLS_A_STEP) -> RolledUp:
    """One bounded step: sum the calls that wait longest, and put their contracts in line for reconciliation.

    Nothing when nothing waits, or when another process is at it. A call that cannot be summed is logged and goes to the
    end of the line: it holds up no other.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [ROLLUP_LOCK])
        if not cursor.fetchone()[0]:
            return _NOTHING
        cursor.execute(_WAITING, [calls, EVENTS_A_STEP])
        waiting: list[_Waiting] = cursor.fetchall()
    if not waiting:
        return _NOTHING
    try:
        done = _sum_calls(waiting)
    except (DataError, IntegrityError):
        done = _sum_one_by_one(waiting)
    enqueue(done.contracts, now=now)
    return done


@transaction.atomic
def _sum_calls(waiting: Sequence[_Waiting]) -> RolledUp:
    """All of them, or none."""
    batch_ids, received, events = zip(*waiting, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(_ROLL_UP, {"calls": list(batch_ids), "received": list(received)})
        contracts = tuple(contract_id for (contract_id,) in cursor.fetchall())
    return RolledUp(len(waiting), sum(events), contracts)


def _sum_one_by_one(waiting: Sequence[_Waiting]) -> RolledUp:
    done = []
    for call in waiting:
        try:
            done.append(_sum_calls([call]))
        except (DataError, IntegrityError):
            logger.exception("call %d could not be summed", call[0])
            with connection.cursor() as cursor:
                cursor.execute(_POSTPONE, [call[0]])
    contracts = {contract_id for each in done for contract_id in each.contracts}
    return RolledUp(len(done), sum(each.events for each in done), tuple(sorted(contracts)))


def rolled_up_until(now: datetime) -> datetime:
    """Everything received before this is in the sums."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(min(received_at), %s) FROM settlement_pendingrollup", [now])
        until: datetime = cursor.fetchone()[0]
    return min(until, now)
