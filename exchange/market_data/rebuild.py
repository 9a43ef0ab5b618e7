"""Candles made from all fills again: to prove the ones that are kept, or to mend them."""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction

from exchange.market_data.pieces import INTERVAL_SECONDS, statement
from exchange.market_data.rollup import mark_parameters
from exchange.models import Candle, CandleCursor

_EXPECTED = statement("""
    SELECT contract_id, seconds, starts_at, {merged}
      FROM (SELECT fill.contract_id, length.seconds, {of_fill}
              FROM exchange_fill AS fill CROSS JOIN unnest(%(intervals)s::int[]) AS length(seconds)
             WHERE fill.contract_id = %(contract)s AND fill.id <= %(through)s AND {stands_at_mark}) AS piece
     GROUP BY contract_id, seconds, starts_at
""")
_STORED = statement(
    "SELECT contract_id, seconds, starts_at, {columns} FROM exchange_candle WHERE contract_id = %(contract)s"
)
_DIFFERENT = statement(
    """
    WITH expected AS MATERIALIZED ({expected}), stored AS MATERIALIZED ({stored})
    SELECT count(DISTINCT (seconds, starts_at))
      FROM ((TABLE expected EXCEPT TABLE stored) UNION ALL (TABLE stored EXCEPT TABLE expected)) AS different
""",
    expected=_EXPECTED,
    stored=_STORED,
)
_REBUILD = statement(
    "INSERT INTO exchange_candle (contract_id, seconds, starts_at, {columns}) {expected}", expected=_EXPECTED
)


@transaction.atomic
def compare_candles(contract_id: int, *, mend: bool) -> int:
    """How many of a contract's candles differ from its fills as far as they are counted; `mend` makes them anew.

    Roll-ups wait meanwhile.
    """
    mark = CandleCursor.objects.select_for_update().get()
    parameters: dict[str, Any] = {
        "contract": contract_id,
        "through": mark.fill_id,
        "intervals": INTERVAL_SECONDS,
        **mark_parameters(mark),
    }
    with connection.cursor() as cursor:
        cursor.execute(_DIFFERENT, parameters)
        different: int = cursor.fetchone()[0]
        if different and mend:
            Candle.objects.filter(contract_id=contract_id).delete()
            cursor.execute(_REBUILD, parameters)
    return different
