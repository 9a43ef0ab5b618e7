"""Reading what meters reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from settlement.metering.judge import CLOCK_TOLERANCE


@dataclass(frozen=True, slots=True)
class RawTokens:
    """Raw tokens over distinct requests, refused ones included."""

    requests: int
    input_tokens: int
    output_tokens: int


def raw_tokens(sides: Sequence[str], *, start: datetime, end: datetime) -> RawTokens:
    """Raw tokens of the requests accepted in `[start, end)`, whether what was reported of them settles or not.

    Of each request as the first of these sides has it that told how it ended; what a correction replaced is left out. A
    request that a side reported several times under different event ids counts once.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*), coalesce(sum(input), 0), coalesce(sum(output), 0) FROM (
                SELECT DISTINCT ON (event.contract_id, event.buyer_id, event.provider_id, event.request_id)
                       event.input_uncached::numeric + event.input_cache_read + event.input_cache_write_short
                       + event.input_cache_write_long + event.input_tool AS input,
                       event.output_visible::numeric + event.output_reasoning AS output
                  FROM settlement_usageevent event JOIN settlement_meter meter ON meter.id = event.meter_id
                 WHERE meter.side = ANY(%s) AND event.accepted_at >= %s AND event.accepted_at < %s
                   AND event.received_at >= %s AND event.kind IN ('completed', 'refused')
                   AND NOT EXISTS (
                       SELECT FROM settlement_usagesupersession corrected
                        WHERE corrected.meter_id = event.meter_id AND corrected.event_id COLLATE "C" = event.event_id)
                 ORDER BY event.contract_id, event.buyer_id, event.provider_id, event.request_id,
                          array_position(%s::text[], meter.side::text), event.kind, event.received_at, event.batch_id,
                          event.place
            ) request
            """,
            [list(sides), start, end, start - CLOCK_TOLERANCE, list(sides)],
        )
        requests, input_tokens, output_tokens = cursor.fetchone()
    return RawTokens(requests, int(input_tokens), int(output_tokens))
