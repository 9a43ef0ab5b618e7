"""Pieces of candles, in SQL: rolling up, reading and rebuilding all merge the same.

A piece has the columns of a candle. A fill is the smallest, its price all four prices. `MERGED` makes one candle of any
pieces of a contract, if no trade is in two of them.
"""

from __future__ import annotations

from typing import LiteralString

from psycopg import sql

from exchange.market_data.intervals import Interval

INTERVAL_SECONDS = [each.seconds for each in Interval]

COLUMNS = sql.SQL(
    "open_ticks, high_ticks, low_ticks, close_ticks, lots, notional, trades, first_trade_no, last_trade_no"
)

MERGED = sql.SQL("""(array_agg(open_ticks ORDER BY first_trade_no))[1] AS open_ticks, max(high_ticks) AS high_ticks,
    min(low_ticks) AS low_ticks, (array_agg(close_ticks ORDER BY last_trade_no DESC))[1] AS close_ticks,
    sum(lots)::bigint AS lots, sum(notional)::bigint AS notional, sum(trades)::bigint AS trades,
    min(first_trade_no) AS first_trade_no, max(last_trade_no) AS last_trade_no""")

# Of a row named `fill`; `length.seconds` is how long the candle is.
OF_FILL = sql.SQL("""
    date_bin(make_interval(secs => length.seconds), fill.executed_at, timestamptz 'epoch') AS starts_at,
    fill.price_ticks AS open_ticks, fill.price_ticks AS high_ticks, fill.price_ticks AS low_ticks,
    fill.price_ticks AS close_ticks, fill.lots, fill.notional, 1 AS trades,
    fill.trade_no AS first_trade_no, fill.trade_no AS last_trade_no""")

# A row named `fill` was not taken back, as far as the reversals that are in the candles go.
STANDS_AT_MARK = sql.SQL("""NOT EXISTS (
    SELECT FROM exchange_fillreversal AS reversal
     WHERE reversal.fill_id = fill.id
       AND (reversal.batch_no, reversal.fill_id) <= (%(reversal_batch_no)s, %(reversal_fill_id)s))""")

_FRAGMENTS = {"columns": COLUMNS, "merged": MERGED, "of_fill": OF_FILL, "stands_at_mark": STANDS_AT_MARK}


def statement(text: LiteralString, **more: sql.Composable) -> sql.Composed:
    """A statement, with `{columns}`, `{merged}`, `{of_fill}` and `{stands_at_mark}` put in, and what else is given."""
    return sql.SQL(text).format(**_FRAGMENTS, **more)
