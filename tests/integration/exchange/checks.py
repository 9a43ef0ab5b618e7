"""What is true of orders, fills and accounts together, computed another way than the product does."""

from __future__ import annotations

from django.db import connection

LOT_TICK_MICROS = 1_000  # of the market in `market.py`
BOND_PER_LOT = 1_000_000
FEE_PPM = 2_000

UNBALANCED = (
    "SELECT count(*) FROM (SELECT 1 FROM ledger_entry GROUP BY transaction_id, asset_id HAVING sum(amount) <> 0) x"
)
DRIFTED = """
    SELECT count(*) FROM ledger_account a
     WHERE balance <> (SELECT coalesce(sum(amount), 0) FROM ledger_entry e WHERE e.account_id = a.id)
        OR seq <> (SELECT count(*) FROM ledger_entry e WHERE e.account_id = a.id)
"""
HELD_CASH = """
    SELECT party_id, sum(held)::bigint FROM (
        SELECT party_id, CASE side WHEN 'sell' THEN remaining_lots * %(bond)s
               ELSE remaining_lots * price_ticks * %(tick)s
                    + ceil(remaining_lots * price_ticks * %(tick)s * %(fee)s / 1000000.0) END AS held
          FROM exchange_order WHERE status = 'open' AND overage_permille = 0
        UNION ALL SELECT provider_id, bond FROM exchange_fill
        UNION ALL SELECT buyer_id, overage_hold FROM exchange_fill) parts
     GROUP BY party_id HAVING sum(held) <> 0
"""
UNMATCHED_ORDERS = """
    SELECT count(*) FROM exchange_order o
     WHERE o.lots - o.remaining_lots <> (SELECT coalesce(sum(f.lots), 0) FROM exchange_fill f
                                          WHERE o.id IN (f.buy_order_id, f.sell_order_id))
"""
FILLED_IN_PART = "SELECT count(*) FROM exchange_order WHERE status = 'filled' AND remaining_lots > 0 AND budget IS NULL"
DECIDED = """
    SELECT count(*) FROM exchange_intake AS line JOIN exchange_sequencerstate AS state
                      ON state.shard = line.shard AND line.seq <= state.cursor
"""
ESCROW = """
    SELECT count(*) FROM exchange_contract c
     WHERE (SELECT coalesce(sum(notional), 0) FROM exchange_fill f WHERE f.contract_id = c.id)
        <> (SELECT coalesce(sum(balance), 0) FROM ledger_account a WHERE a.role = 'escrow' AND a.qualifier = c.symbol)
"""


def check_exchange() -> None:
    """Every decided command has one result; ledger, holds, orders and fills say the same. Before any settlement."""
    assert _number(UNBALANCED) == 0
    assert _number(DRIFTED) == 0
    assert _number(UNMATCHED_ORDERS) == 0
    assert _number(ESCROW) == 0
    assert _number(FILLED_IN_PART) == 0
    assert _number(DECIDED) == _number("SELECT count(*) FROM exchange_intakeresult")
    with connection.cursor() as cursor:
        cursor.execute(HELD_CASH, {"bond": BOND_PER_LOT, "tick": LOT_TICK_MICROS, "fee": FEE_PPM})
        expected = dict(cursor.fetchall())
        cursor.execute("SELECT party_id, held FROM ledger_account WHERE role = 'cash' AND held <> 0")
        assert dict(cursor.fetchall()) == expected


def _number(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query)
        number: int = cursor.fetchone()[0]
    return number
