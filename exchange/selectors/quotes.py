"""Best prices of many contracts at once, and what a quantity would cost in each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db import connection

# A level's `lots_before` are those at better prices of its side.
_QUOTES = """
    WITH level AS (
        SELECT contract_id, side, price_ticks, sum(remaining_lots)::bigint AS lots
          FROM exchange_order
         WHERE status = 'open' AND contract_id = ANY(%(contracts)s)
         GROUP BY contract_id, side, price_ticks
    ), ladder AS (
        SELECT level.*, sum(lots) OVER (
                   PARTITION BY contract_id, side ORDER BY CASE side WHEN 'buy' THEN -price_ticks ELSE price_ticks END
               ) - lots AS lots_before
          FROM level
    ), quote AS (
        SELECT contract_id,
               max(price_ticks) FILTER (WHERE side = 'buy' AND lots_before = 0) AS bid_ticks,
               max(lots) FILTER (WHERE side = 'buy' AND lots_before = 0) AS bid_lots,
               max(price_ticks) FILTER (WHERE side = 'sell' AND lots_before = 0) AS ask_ticks,
               max(lots) FILTER (WHERE side = 'sell' AND lots_before = 0) AS ask_lots,
               sum(lots) FILTER (WHERE side = 'sell') AS asked_lots,
               sum(least(lots, %(lots)s - lots_before) * price_ticks)
                   FILTER (WHERE side = 'sell' AND lots_before < %(lots)s) AS buy_tick_lots,
               max(price_ticks) FILTER (WHERE side = 'sell' AND lots_before < %(lots)s) AS buy_limit_ticks
          FROM ladder GROUP BY contract_id
    )
    SELECT contract_id, coalesce(book_seq, 0), last_price_ticks, bid_ticks, bid_lots, ask_ticks, ask_lots,
           coalesce(asked_lots, 0)::bigint, buy_tick_lots::bigint, buy_limit_ticks
      FROM quote FULL JOIN (SELECT * FROM exchange_contractmarket WHERE contract_id = ANY(%(contracts)s)) AS market
     USING (contract_id)
"""


@dataclass(frozen=True, slots=True)
class Quote:
    """The best price of a side, in ticks, and the lots waiting there."""

    price_ticks: int
    lots: int


@dataclass(frozen=True, slots=True)
class Purchase:
    """What buying some lots at once would take: their prices times lots, summed, and the price of the last of them."""

    lots: int
    tick_lots: int
    limit_ticks: int


@dataclass(frozen=True, slots=True)
class Quotes:
    """The best of both sides of a contract, as of the change numbered `book_seq`; `buy` if so much is asked at all."""

    bid: Quote | None = None
    ask: Quote | None = None
    book_seq: int = 0
    last_price_ticks: int | None = None
    asked_lots: int = 0
    buy: Purchase | None = None


NO_QUOTES = Quotes()


def best_quotes(contract_ids: Collection[int], *, lots: int = 1) -> dict[int, Quotes]:
    """The quotes of each contract that had any order, and of buying `lots` of it, all at one instant."""
    with connection.cursor() as cursor:
        cursor.execute(_QUOTES, {"contracts": list(contract_ids), "lots": lots})
        rows = cursor.fetchall()
    return {row[0]: _quotes(lots, *row[1:]) for row in rows}


def _quotes(
    lots: int,
    book_seq: int,
    last_price_ticks: int | None,
    bid_ticks: int | None,
    bid_lots: int,
    ask_ticks: int | None,
    ask_lots: int,
    asked_lots: int,
    buy_tick_lots: int,
    buy_limit_ticks: int,
) -> Quotes:
    """One row of the answer."""
    return Quotes(
        bid=None if bid_ticks is None else Quote(bid_ticks, bid_lots),
        ask=None if ask_ticks is None else Quote(ask_ticks, ask_lots),
        book_seq=book_seq,
        last_price_ticks=last_price_ticks,
        asked_lots=asked_lots,
        buy=Purchase(lots, buy_tick_lots, buy_limit_ticks) if asked_lots >= lots else None,
    )
