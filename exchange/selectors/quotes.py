"""Best prices of many contracts at once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db import connection

from exchange.matching.types import Side


@dataclass(frozen=True, slots=True)
class Quote:
    """The best price of a side, in ticks, and the lots waiting there."""

    price_ticks: int
    lots: int


@dataclass(frozen=True, slots=True)
class Quotes:
    """The best of both sides of a contract."""

    bid: Quote | None = None
    ask: Quote | None = None


NO_QUOTES = Quotes()


def best_quotes(contract_ids: Collection[int]) -> dict[int, Quotes]:
    """The best quotes of each contract that has any; one question to the database, over open orders only."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT ON (contract_id, side) contract_id, side, price_ticks, sum(remaining_lots)::bigint
              FROM exchange_order
             WHERE status = 'open' AND contract_id = ANY(%s)
             GROUP BY contract_id, side, price_ticks
             ORDER BY contract_id, side, CASE side WHEN 'buy' THEN -price_ticks ELSE price_ticks END
            """,
            [list(contract_ids)],
        )
        rows = cursor.fetchall()
    found: dict[int, dict[str, Quote]] = {}
    for contract_id, side, price_ticks, lots in rows:
        found.setdefault(contract_id, {})[side] = Quote(price_ticks, lots)
    return {
        contract_id: Quotes(bid=sides.get(Side.BUY), ask=sides.get(Side.SELL)) for contract_id, sides in found.items()
    }
