"""Counting fills into candles, outside the hot path: behind a cursor, in bounded steps that can stop anywhere.

At every commit the candles are exactly the fills up to the cursor's, less the reversals up to the cursor's.
"""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from psycopg import sql

from exchange.market_data.pieces import INTERVAL_SECONDS, statement
from exchange.models import CandleCursor, ExchangeHead, FillReversal

FILLS_A_STEP = 20_000
REVERSALS_A_STEP = 2_000
STEPS_A_CALL = 50

_COUNT_FILLS = statement("""
    INSERT INTO exchange_candle AS candle (contract_id, seconds, starts_at, {columns})
    SELECT contract_id, seconds, starts_at, {merged}
      FROM (SELECT fill.contract_id, length.seconds, {of_fill}
              FROM exchange_fill AS fill CROSS JOIN unnest(%(intervals)s::int[]) AS length(seconds)
             WHERE fill.id > %(after)s AND fill.id <= %(through)s AND {stands_at_mark}) AS piece
     GROUP BY contract_id, seconds, starts_at
    ON CONFLICT (contract_id, seconds, starts_at) DO UPDATE
       SET high_ticks = greatest(candle.high_ticks, excluded.high_ticks),
           low_ticks = least(candle.low_ticks, excluded.low_ticks), close_ticks = excluded.close_ticks,
           lots = candle.lots + excluded.lots, notional = candle.notional + excluded.notional,
           trades = candle.trades + excluded.trades, last_trade_no = excluded.last_trade_no
""")

# The candles that a fill was taken out of are made anew from what is left of their trades, found by index (OFFSET 0).
_COUNT_REVERSALS = statement("""
    WITH touched AS MATERIALIZED (
        SELECT DISTINCT candle.contract_id, candle.seconds, candle.starts_at, candle.first_trade_no,
                        candle.last_trade_no
          FROM (SELECT fill.contract_id, length.seconds, {of_fill}
                  FROM exchange_fill AS fill CROSS JOIN unnest(%(intervals)s::int[]) AS length(seconds)
                 WHERE fill.id = ANY(%(reversed)s)) AS piece
          JOIN exchange_candle AS candle USING (contract_id, seconds, starts_at)
    ), merged AS MATERIALIZED (
        SELECT contract_id, seconds, starts_at, {merged}
          FROM (SELECT fill.contract_id, length.seconds, {of_fill}
                  FROM touched AS length CROSS JOIN LATERAL (
                       SELECT * FROM exchange_fill
                        WHERE contract_id = length.contract_id
                          AND trade_no BETWEEN length.first_trade_no AND length.last_trade_no
                       OFFSET 0) AS fill
                 WHERE {stands_at_mark}) AS piece
         GROUP BY contract_id, seconds, starts_at
    ), emptied AS (
        DELETE FROM exchange_candle AS candle USING touched
         WHERE (candle.contract_id, candle.seconds, candle.starts_at)
               = (touched.contract_id, touched.seconds, touched.starts_at)
           AND NOT EXISTS (SELECT FROM merged WHERE (merged.contract_id, merged.seconds, merged.starts_at)
                                                    = (touched.contract_id, touched.seconds, touched.starts_at))
    )
    UPDATE exchange_candle AS candle
       SET ({columns}) = (merged.open_ticks, merged.high_ticks, merged.low_ticks, merged.close_ticks, merged.lots,
                          merged.notional, merged.trades, merged.first_trade_no, merged.last_trade_no)
      FROM merged
     WHERE (candle.contract_id, candle.seconds, candle.starts_at)
           = (merged.contract_id, merged.seconds, merged.starts_at)
""")


def roll_up() -> int:
    """Count what is new, up to a bound, the next call goes on; the number of fills and reversals counted."""
    counted = 0
    for _ in range(STEPS_A_CALL):
        step = roll_up_step()
        counted += step
        if not step:
            break
    return counted


@transaction.atomic
def roll_up_step(*, fills: int = FILLS_A_STEP, reversals: int = REVERSALS_A_STEP) -> int:
    """One bounded step; 0 when nothing is new, or when another process is at it."""
    mark = CandleCursor.objects.select_for_update(skip_locked=True).first()
    if mark is None:
        return 0
    counted = _count_fills(mark, fills) + _count_reversals(mark, reversals)
    if counted:
        mark.save()
    return counted


def mark_parameters(mark: CandleCursor) -> dict[str, Any]:
    """What `STANDS_AT_MARK` asks for."""
    return {"reversal_batch_no": mark.reversal_batch_no, "reversal_fill_id": mark.reversal_fill_id}


def _count_fills(mark: CandleCursor, most: int) -> int:
    """Ids have no gaps and commit in their order, so all up to the head's are there."""
    through = min(ExchangeHead.objects.get().last_fill, mark.fill_id + most)
    after, mark.fill_id = mark.fill_id, through
    if through > after:
        _run(_COUNT_FILLS, after=after, through=through, **mark_parameters(mark))
    return through - after


def _count_reversals(mark: CandleCursor, most: int) -> int:
    later = Q(batch_no__gt=mark.reversal_batch_no) | Q(
        batch_no=mark.reversal_batch_no, fill_id__gt=mark.reversal_fill_id
    )
    found = list(
        FillReversal.objects.filter(later).order_by("batch_no", "fill_id").values_list("batch_no", "fill_id")[:most]
    )
    if found:
        mark.reversal_batch_no, mark.reversal_fill_id = found[-1]
        _run(_COUNT_REVERSALS, reversed=[fill_id for _, fill_id in found], **mark_parameters(mark))
    return len(found)


def _run(query: sql.Composed, **parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(query, {"intervals": INTERVAL_SECONDS, **parameters})
