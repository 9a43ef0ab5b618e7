"""What the exchange tells the audit of its fees: that every fill has the rates its orders were stamped with."""

from __future__ import annotations

from psycopg import sql

from exchange.matching.types import Side
from ledger.audit import Check, Finding, Looked, Span, View, register_check

# The command log says what an order was stamped with; commands from before there were stamps meant the contract's rate.
# An incremental audit leaves out contracts whose gate had closed before the last clean one.
_FILLS = sql.SQL(
    """
      FROM exchange_fill AS fill
      JOIN exchange_contract AS contract ON contract.id = fill.contract_id
     WHERE (%(since)s::timestamptz IS NULL OR contract.gate_close >= %(since)s)
    """
)
_COUNTED = sql.SQL("SELECT count(*) {}").format(_FILLS)
_UNLIKE_STAMPS = sql.SQL(
    """
    SELECT trade.id, buyer_fee_ppm, provider_fee_ppm, stamp.buyer, stamp.provider
      FROM (SELECT fill.*, contract.terms_id {fills}) AS trade
      JOIN exchange_productterms AS pinned ON pinned.id = trade.terms_id
      LEFT JOIN exchange_intake AS bought ON bought.seq = trade.buy_order_id
      LEFT JOIN exchange_intake AS sold ON sold.seq = trade.sell_order_id
     CROSS JOIN LATERAL (
        SELECT (terms ->> 'buyer_fee_ppm')::bigint AS buyer, (terms ->> 'provider_fee_ppm')::bigint AS provider,
               CASE taker_side WHEN {buy} THEN 'taker_fee_ppm' ELSE 'maker_fee_ppm' END AS buyers_role,
               CASE taker_side WHEN {buy} THEN 'maker_fee_ppm' ELSE 'taker_fee_ppm' END AS providers_role) AS highest
     CROSS JOIN LATERAL (
        SELECT coalesce((bought.payload ->> buyers_role)::bigint, highest.buyer) AS buyer,
               coalesce((sold.payload ->> providers_role)::bigint, highest.provider) AS provider) AS stamp
     WHERE (buyer_fee_ppm, provider_fee_ppm) IS DISTINCT FROM (stamp.buyer, stamp.provider)
        OR buyer_fee_ppm > highest.buyer OR provider_fee_ppm > highest.provider
     ORDER BY trade.id
    """
).format(fills=_FILLS, buy=Side.BUY.value)


def _rates(view: View, _span: Span) -> Looked:
    def tell(fill: int, buyer: int, provider: int, stamped_buyer: int, stamped_provider: int) -> Finding:
        told = f"it has {buyer} and {provider} ppm for buyer and provider"
        return Finding(f"fill {fill}", f"{told}, its orders came with {stamped_buyer} and {stamped_provider}")

    since = {"since": view.base.started_at}
    ((rows,),) = view.rows(_COUNTED, since)
    return view.look(_UNLIKE_STAMPS, since, tell, rows=rows)


def register() -> None:
    """Tell the audit; once, at start-up."""
    register_check(
        Check(
            "exchange.fill_rates",
            "Every fill has the fee rates of its orders, by who made and who took, and none above the contract's",
            "The fill or a command was changed: the provider's fee at settlement follows the fill's rate.",
            _rates,
        )
    )
