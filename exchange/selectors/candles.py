"""Candles and statistics of a contract. What is not rolled up yet is merged in, so that nothing shown is stale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

from django.db import connection
from psycopg import sql

from exchange.market_data.intervals import Interval
from exchange.market_data.pieces import statement
from exchange.models import Contract
from exchange.rows import find_contract, product_terms
from exchange.terms import ProductTerms
from ledger.money import MICROS_PER_UNIT

STATISTICS_PERIOD = timedelta(days=1)
FIRST_INSTANT, LAST_INSTANT = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

# `kept` are stored candles. Those that begin before the period, and those with a fill that was taken back since, are
# `opened`: their fills are read again, and so is what came after the last candle, each range of trade numbers by its
# index (OFFSET 0 keeps the planner from reading all fills of the contract once). `{kept}` and `{loose}` narrow both.
_PIECES: LiteralString = """
    WITH mark AS MATERIALIZED (
        SELECT fill_id, reversal_batch_no, reversal_fill_id FROM exchange_candlecursor
    ), length AS MATERIALIZED (
        SELECT %(seconds)s::int AS seconds
    ), undone AS MATERIALIZED (
        SELECT starts_at
          FROM (SELECT {of_fill}
                  FROM mark CROSS JOIN length
                  JOIN exchange_fillreversal AS reversal
                    ON (reversal.batch_no, reversal.fill_id) > (mark.reversal_batch_no, mark.reversal_fill_id)
                  JOIN exchange_fill AS fill ON fill.id = reversal.fill_id AND fill.id <= mark.fill_id
                 WHERE reversal.contract_id = %(contract)s) AS piece
    ), kept AS MATERIALIZED (
        SELECT starts_at, {columns},
               starts_at < %(since)s::timestamptz OR starts_at IN (SELECT starts_at FROM undone) AS opened
          FROM exchange_candle AS candle
         WHERE contract_id = %(contract)s AND seconds = %(seconds)s AND {kept}
    ), read_again AS MATERIALIZED (
        SELECT first_trade_no, last_trade_no FROM kept WHERE opened
        UNION ALL
        SELECT coalesce((SELECT last_trade_no FROM exchange_candle
                          WHERE contract_id = %(contract)s AND seconds = 86400 ORDER BY starts_at DESC LIMIT 1), 0) + 1,
               9223372036854775807
    ), piece AS (
        SELECT starts_at, {columns} FROM kept WHERE NOT opened
        UNION ALL
        SELECT starts_at, {columns}
          FROM (SELECT fill.executed_at, {of_fill}
                  FROM length CROSS JOIN read_again CROSS JOIN LATERAL (
                       SELECT * FROM exchange_fill
                        WHERE contract_id = %(contract)s
                          AND trade_no BETWEEN read_again.first_trade_no AND read_again.last_trade_no
                       OFFSET 0) AS fill
                 WHERE NOT EXISTS (SELECT FROM exchange_fillreversal AS reversal WHERE reversal.fill_id = fill.id)
               ) AS loose
         WHERE {loose}
    )
"""
_CANDLES = statement(
    """
    {pieces}
    SELECT scanned.back_to, candle.*
      FROM (SELECT CASE count(*) WHEN %(limit)s THEN min(starts_at) END AS back_to FROM kept) AS scanned
      LEFT JOIN (SELECT starts_at, {merged}
                   FROM piece GROUP BY starts_at ORDER BY starts_at DESC LIMIT %(limit)s + 1) AS candle ON true
     ORDER BY starts_at DESC
    """,
    pieces=statement(
        _PIECES,
        kept=sql.SQL("starts_at >= %(since)s AND starts_at < %(before)s ORDER BY starts_at DESC LIMIT %(limit)s"),
        loose=sql.SQL("starts_at >= %(since)s AND starts_at < %(before)s"),
    ),
)
_STATISTICS = statement(
    "{pieces} SELECT {merged} FROM piece",
    pieces=statement(
        _PIECES,
        kept=sql.SQL("starts_at > %(since)s::timestamptz - make_interval(secs => %(seconds)s)"),
        loose=sql.SQL("executed_at >= %(since)s"),
    ),
)


@dataclass(frozen=True, slots=True)
class TradedFigures:
    """What some trades of a contract came to. Prices in ticks; `vwap_micros` is their notional over their tokens, per
    million contract tokens, rounded down."""

    tick_micros: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    lots: int
    tokens: int
    notional_micros: int
    trades: int

    @property
    def vwap_micros(self) -> int:
        return self.notional_micros * MICROS_PER_UNIT // self.tokens


@dataclass(frozen=True, slots=True)
class CandleView(TradedFigures):
    """The trades of `[starts_at, ends_at)`."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class CandlesView:
    """Candles, newest first. Older ones begin before `next_before`; None when there are none."""

    symbol: str
    interval: Interval
    candles: tuple[CandleView, ...]
    next_before: datetime | None


@dataclass(frozen=True, slots=True)
class StatisticsView:
    """A contract's last 24 hours; no figures when nothing traded."""

    symbol: str
    since: datetime
    until: datetime
    figures: TradedFigures | None


def list_candles(
    symbol: str,
    interval: Interval,
    *,
    since: datetime = FIRST_INSTANT,
    before: datetime = LAST_INSTANT,
    limit: int,
) -> CandlesView:
    """The latest candles that begin in `[since, before)`, of those with a trade. Raises `UnknownContract`."""
    contract = find_contract(symbol)
    rows = _ask(_CANDLES, contract, interval, since=since, before=before, limit=limit)
    terms = product_terms(contract)
    length = timedelta(seconds=interval.seconds)
    candles = tuple(
        CandleView(**_figures(terms, merged), starts_at=starts_at, ends_at=starts_at + length)
        for _, starts_at, *merged in rows[:limit]
        if starts_at is not None
    )
    scanned_back_to: datetime | None = rows[0][0]
    return CandlesView(symbol, interval, candles, candles[-1].starts_at if len(rows) > limit else scanned_back_to)


def get_statistics(symbol: str, now: datetime) -> StatisticsView:
    """Over the 24 hours before `now`, to the instant. Raises `UnknownContract`."""
    contract = find_contract(symbol)
    since = now - STATISTICS_PERIOD
    (row,) = _ask(_STATISTICS, contract, Interval.MINUTE, since=since)
    figures = None if row[0] is None else TradedFigures(**_figures(product_terms(contract), row))
    return StatisticsView(symbol, since, now, figures)


def _ask(query: sql.Composed, contract: Contract, interval: Interval, **parameters: Any) -> list[tuple[Any, ...]]:
    """One statement, and so one instant of the database."""
    with connection.cursor() as cursor:
        cursor.execute(query, {"contract": contract.id, "seconds": interval.seconds, **parameters})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _figures(terms: ProductTerms, merged: Sequence[int]) -> dict[str, int]:
    """The fields of `TradedFigures`, from the columns of a merged piece."""
    open_ticks, high_ticks, low_ticks, close_ticks, lots, notional, trades, _, _ = merged
    return {
        "tick_micros": terms.tick_micros,
        "open_ticks": open_ticks,
        "high_ticks": high_ticks,
        "low_ticks": low_ticks,
        "close_ticks": close_ticks,
        "lots": lots,
        "tokens": lots * terms.lot_tokens,
        "notional_micros": notional,
        "trades": trades,
    }
