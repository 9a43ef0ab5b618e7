"""Reading what meters reported: per position, quarantined, in conflict, without a position."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Q, QuerySet

from exchange.selectors.positions import list_positions
from settlement.models import EventStatus, Meter, UnmatchedUsage, UsageConflict, UsageEvent


@dataclass(frozen=True, slots=True)
class MeteredUsage:
    """Accepted usage of a buyer with a provider in a contract as one side's meters report it, before the join."""

    contract_id: int
    buyer_id: int
    provider_id: int
    side: str
    completed: int
    refused: int
    delivered_millitokens: int
    refused_millitokens: int
    has_position: bool


@dataclass(frozen=True, slots=True)
class RawTokens:
    """Raw tokens over distinct requests, refused ones included."""

    requests: int
    input_tokens: int
    output_tokens: int


def metered_usage(contract_id: int, *, party_ids: Collection[int] | None = None) -> list[MeteredUsage]:
    """A contract's accepted usage by pair and side; of some parties, or of all (None)."""
    positions = {(each.buyer_id, each.provider_id) for each in list_positions(contract_id=contract_id)}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT event.buyer_id, event.provider_id, meter.side,
                   count(*) FILTER (WHERE event.kind = 'completed'), count(*) FILTER (WHERE event.kind = 'refused'),
                   coalesce(sum(event.millitokens) FILTER (WHERE event.kind = 'completed'), 0),
                   coalesce(sum(event.millitokens) FILTER (WHERE event.kind = 'refused'), 0)
              FROM settlement_usageevent event JOIN settlement_meter meter ON meter.id = event.meter_id
             WHERE event.contract_id = %s AND event.status = %s
             GROUP BY event.buyer_id, event.provider_id, meter.side
             ORDER BY event.buyer_id, event.provider_id, meter.side
            """,
            [contract_id, EventStatus.ACCEPTED],
        )
        rows = cursor.fetchall()
    return [
        MeteredUsage(
            contract_id=contract_id,
            buyer_id=buyer_id,
            provider_id=provider_id,
            side=side,
            completed=completed,
            refused=refused,
            delivered_millitokens=int(delivered),
            refused_millitokens=int(not_delivered),
            has_position=(buyer_id, provider_id) in positions,
        )
        for buyer_id, provider_id, side, completed, refused, delivered, not_delivered in rows
        if party_ids is None or buyer_id in party_ids or provider_id in party_ids
    ]


def raw_tokens(side: str, *, start: datetime, end: datetime) -> RawTokens:
    """Raw tokens that one side's meters reported, accepted or not, for contracts that start in `[start, end)`.

    A request that a side reported several times under different event ids counts once.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*), coalesce(sum(input), 0), coalesce(sum(output), 0) FROM (
                SELECT DISTINCT ON (event.contract_id, event.buyer_id, event.provider_id, event.request_id)
                       (event.buckets->>'input_uncached')::numeric + (event.buckets->>'input_cache_read')::numeric
                       + (event.buckets->>'input_cache_write_short')::numeric
                       + (event.buckets->>'input_cache_write_long')::numeric
                       + (event.buckets->>'input_tool')::numeric AS input,
                       (event.buckets->>'output_visible')::numeric
                       + (event.buckets->>'output_reasoning')::numeric AS output
                  FROM settlement_usageevent event JOIN settlement_meter meter ON meter.id = event.meter_id
                 WHERE meter.side = %s AND event.window_start >= %s AND event.window_start < %s
                 ORDER BY event.contract_id, event.buyer_id, event.provider_id, event.request_id, event.kind, event.id
            ) request
            """,
            [side, start, end],
        )
        requests, input_tokens, output_tokens = cursor.fetchone()
    return RawTokens(requests, int(input_tokens), int(output_tokens))


def list_events(*, party_ids: Collection[int] | None = None) -> QuerySet[UsageEvent]:
    """Usage events, the latest first: those a party is buyer or provider of, or all (None)."""
    events = UsageEvent.objects.order_by("-window_start", "-id")
    if party_ids is None:
        return events
    return events.filter(Q(buyer_id__in=list(party_ids)) | Q(provider_id__in=list(party_ids)))


def list_quarantined(*, party_ids: Collection[int] | None = None) -> QuerySet[UsageEvent]:
    """Events kept aside, each with its `quarantine_reason`."""
    return list_events(party_ids=party_ids).filter(status=EventStatus.QUARANTINED)


def list_conflicts(*, party_ids: Collection[int] | None = None) -> QuerySet[UsageConflict]:
    """Ids that came again with other content; of some parties' meters, or of all (None)."""
    conflicts = UsageConflict.objects.order_by("-id")
    if party_ids is None:
        return conflicts
    return conflicts.filter(meter_id__in=Meter.objects.filter(party_id__in=list(party_ids)).values("id"))


def list_unmatched(*, run_id: int | None = None, party_ids: Collection[int] | None = None) -> QuerySet[UnmatchedUsage]:
    """Usage that runs found without a position. Moves no money."""
    rows = UnmatchedUsage.objects.select_related("run").order_by("run_id", "contract_id", "buyer_id", "provider_id")
    if run_id is not None:
        rows = rows.filter(run_id=run_id)
    if party_ids is not None:
        rows = rows.filter(Q(buyer_id__in=list(party_ids)) | Q(provider_id__in=list(party_ids)))
    return rows
