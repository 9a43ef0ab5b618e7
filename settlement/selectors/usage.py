"""Reading what meters reported."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection


@dataclass(frozen=True, slots=True)
class RawTokens:
    """Raw tokens over distinct requests, refused ones included."""

    requests: int
    input_tokens: int
    output_tokens: int


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
