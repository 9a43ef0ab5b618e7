"""What the exchange tells the audit: what its orders and positions hold back, and that its fills are what was posted.

Amounts are computed again in SQL from orders, fills and terms, beside `exchange.clearing.amounts`; divisions are of
`numeric` and whole, so nothing is lost and nothing overflows.
"""

from __future__ import annotations

from typing import LiteralString

from psycopg import sql

from exchange.clearing.drafts import SOURCE
from exchange.clearing.terms import PERMILLE, PPM, TOKENS_PER_PRICE
from exchange.matching.lifecycle import OrderStatus
from exchange.matching.types import Side
from exchange.models import ContractState
from ledger.audit import Check, Finding, HoldExplanation, Looked, Span, View, register_check, register_hold_explanation
from ledger.chart import Role

_ROLES = {role.value: role.value for role in (Role.ESCROW, Role.ENTITLEMENT, Role.OBLIGATION)}


def _rounded_up(dividend: LiteralString, divisor: int) -> sql.Composed:
    return sql.SQL("div({} + {}, {})").format(sql.SQL(dividend), divisor - 1, divisor)


# One row an open order: the lots it still wants, their value at its limit, and what the overage of one lot holds.
_OPEN_ORDERS = sql.SQL(
    """
    SELECT party_id, contract.asset_id, product.currency_id, side, remaining_lots::numeric AS lots, bond_per_lot,
           lot_tokens, fee_ppm, price_ticks * lot_tick * remaining_lots AS notional, {overage} AS overage
      FROM exchange_order AS standing
      JOIN exchange_contract AS contract ON contract.id = standing.contract_id
      JOIN exchange_product AS product ON product.id = contract.product_id
      JOIN exchange_productterms AS pinned ON pinned.id = contract.terms_id
     CROSS JOIN LATERAL (SELECT (terms ->> 'lot_tokens')::numeric AS lot_tokens,
                                (terms ->> 'buyer_fee_ppm')::numeric AS fee_ppm,
                                (terms ->> 'tick_micros')::numeric AS tick_micros) AS figures
     CROSS JOIN LATERAL (SELECT div(tick_micros * lot_tokens, {tokens_per_price}) AS lot_tick) AS value
     WHERE standing.status = {open}
    """
).format(
    overage=_rounded_up("band_high_ticks * lot_tick * overage_permille", PERMILLE),
    tokens_per_price=TOKENS_PER_PRICE,
    open=OrderStatus.OPEN.value,
)
OPEN_ORDERS = HoldExplanation(
    "exchange.open_orders",
    "open orders",
    sql.SQL(
        """
        WITH standing AS ({orders})
        SELECT party_id, currency_id AS asset_id, {cash} AS role,
               CASE side WHEN {buy} THEN notional + {fee} + lots * (overage + {overage_fee})
                         ELSE lots * bond_per_lot END AS amount
          FROM standing
         UNION ALL
        SELECT party_id, asset_id, {obligation}, lots * lot_tokens FROM standing WHERE side = {sell}
        """
    ).format(
        orders=_OPEN_ORDERS,
        cash=Role.CASH.value,
        buy=Side.BUY.value,
        fee=_rounded_up("notional * fee_ppm", PPM),
        overage_fee=_rounded_up("overage * fee_ppm", PPM),
        obligation=Role.OBLIGATION.value,
        sell=Side.SELL.value,
    ),
)

# From the initial settlement on, settlement answers for them.
POSITIONS = HoldExplanation(
    "exchange.positions",
    "bonds and overage of positions",
    sql.SQL(
        """
        SELECT party_id, product.currency_id AS asset_id, {cash} AS role, amount
          FROM exchange_contract AS contract
          JOIN exchange_product AS product ON product.id = contract.product_id
          JOIN exchange_fill AS fill ON fill.contract_id = contract.id
         CROSS JOIN LATERAL (VALUES (provider_id, bond), (buyer_id, overage_hold)) AS held(party_id, amount)
         WHERE contract.state <> {settled}
           AND NOT EXISTS (SELECT FROM exchange_fillreversal WHERE fill_id = fill.id)
        """
    ).format(cash=Role.CASH.value, settled=ContractState.SETTLED.value),
)

# A contract's own accounts: its escrow, and everybody's entitlements and obligations.
_ACCOUNTS = sql.SQL(
    """
    SELECT contract.id AS contract_id, account.id, account.role, account.balance, account.held
      FROM exchange_contract AS contract
      JOIN ledger_account AS account
        ON account.asset_id = contract.asset_id AND account.role IN ({entitlement}, {obligation})
     UNION ALL
    SELECT contract.id, account.id, account.role, account.balance, account.held
      FROM exchange_contract AS contract
      JOIN exchange_product AS product ON product.id = contract.product_id
      JOIN ledger_account AS account
        ON account.asset_id = product.currency_id AND account.role = {escrow}
       AND account.qualifier = contract.symbol
    """
).format(**_ROLES)
# An incremental audit leaves out contracts whose gate had closed before the last clean one, unless they were cancelled
# later: nothing has been filled or taken back in the others since.
_WANTED = sql.SQL(
    "%(since)s::timestamptz IS NULL OR contract.gate_close >= %(since)s OR contract.cancelled_at >= %(since)s"
)
_UNLIKE_FILLS = sql.SQL(
    """
    WITH wanted AS (
        SELECT id, symbol FROM exchange_contract AS contract WHERE {wanted}
    ), filled AS (
        SELECT wanted.id, sum(notional) AS notional, sum(tokens) AS tokens
          FROM wanted JOIN exchange_fill AS fill ON fill.contract_id = wanted.id
         WHERE NOT EXISTS (SELECT FROM exchange_fillreversal WHERE fill_id = fill.id) GROUP BY wanted.id
    ), posted AS (
        SELECT wanted.id, sum(amount) FILTER (WHERE role = {escrow}) AS escrow,
               sum(amount) FILTER (WHERE role = {entitlement}) AS due,
               -sum(amount) FILTER (WHERE role = {obligation}) AS owed
          FROM wanted JOIN ({accounts}) AS account ON account.contract_id = wanted.id
          JOIN ledger_entry AS entry ON entry.account_id = account.id
          JOIN ledger_transaction AS posting ON posting.id = entry.transaction_id AND posting.source = {source}
         GROUP BY wanted.id
    )
    SELECT wanted.symbol, coalesce(notional, 0), coalesce(tokens, 0), coalesce(escrow, 0), coalesce(due, 0),
           coalesce(owed, 0)
      FROM wanted LEFT JOIN filled ON filled.id = wanted.id LEFT JOIN posted ON posted.id = wanted.id
     WHERE coalesce(notional, 0) <> coalesce(escrow, 0)
        OR coalesce(tokens, 0) <> coalesce(due, 0) OR coalesce(tokens, 0) <> coalesce(owed, 0)
     ORDER BY wanted.symbol
    """
).format(wanted=_WANTED, accounts=_ACCOUNTS, source=SOURCE, **_ROLES)
_FILLS = sql.SQL(
    """
    SELECT count(*) FROM exchange_fill AS fill JOIN exchange_contract AS contract ON contract.id = fill.contract_id
     WHERE {wanted}
    """
).format(wanted=_WANTED)
# Each fill by itself: its figures follow from price and terms, and its own three legs stand in its batch's posting.
_UNLIKE_LEGS = sql.SQL(
    """
    WITH trade AS (
        SELECT fill.*, contract.asset_id, product.currency_id,
               div(figures.tick_micros * figures.lot_tokens, {tokens_per_price}) AS lot_tick, figures.lot_tokens
          FROM exchange_fill AS fill
          JOIN exchange_contract AS contract ON contract.id = fill.contract_id
          JOIN exchange_product AS product ON product.id = contract.product_id
          JOIN exchange_productterms AS pinned ON pinned.id = contract.terms_id
         CROSS JOIN LATERAL (SELECT (terms ->> 'lot_tokens')::numeric AS lot_tokens,
                                    (terms ->> 'tick_micros')::numeric AS tick_micros) AS figures
         WHERE {wanted}
    ), due AS (
        SELECT trade.id, leg.*
          FROM trade CROSS JOIN LATERAL (VALUES
               (buyer_id, currency_id, {cash}, -(notional + buyer_fee)::numeric),
               (buyer_id, asset_id, {entitlement}, tokens::numeric),
               (provider_id, asset_id, {obligation}, -tokens::numeric)) AS leg(party_id, asset_id, role, amount)
    ), posted AS (
        SELECT entry.ref, account.party_id, account.asset_id, account.role, sum(entry.amount) AS amount
          FROM (SELECT DISTINCT batch_no::text AS reference FROM trade) AS batch
          JOIN ledger_transaction AS posting ON posting.source = {source} AND posting.reference = batch.reference
          JOIN ledger_entry AS entry ON entry.transaction_id = posting.id
          JOIN ledger_account AS account ON account.id = entry.account_id
         GROUP BY entry.ref, account.party_id, account.asset_id, account.role
    )
    SELECT due.id, due.role, due.amount, posted.amount
      FROM due LEFT JOIN posted ON posted.ref = due.id::text AND posted.party_id = due.party_id
                               AND posted.asset_id = due.asset_id AND posted.role = due.role
     WHERE posted.amount IS DISTINCT FROM due.amount
     UNION ALL
    SELECT id, 'figures', price_ticks * lots * lot_tick, notional
      FROM trade
     WHERE price_ticks * lots * lot_tick <> notional OR lots * lot_tokens <> tokens
        OR div(notional::numeric * buyer_fee_ppm, {ppm}) <> buyer_fee
     ORDER BY 1, 2
    """
).format(
    wanted=_WANTED,
    source=SOURCE,
    cash=Role.CASH.value,
    entitlement=Role.ENTITLEMENT.value,
    obligation=Role.OBLIGATION.value,
    tokens_per_price=TOKENS_PER_PRICE,
    ppm=PPM,
)
# Cancelled before delivery: all its fills were taken back, and there is nothing to settle.
_OVER = sql.SQL(
    """
    (contract.state = {cancelled} AND NOT EXISTS (
        SELECT FROM exchange_fill AS fill WHERE fill.contract_id = contract.id
           AND NOT EXISTS (SELECT FROM exchange_fillreversal WHERE fill_id = fill.id)))
    """
).format(cancelled=ContractState.CANCELLED.value)
_NOT_EMPTIED = sql.SQL(
    """
    SELECT contract.symbol, account.id, account.role, account.balance, account.held
      FROM exchange_contract AS contract JOIN ({accounts}) AS account ON account.contract_id = contract.id
     WHERE (contract.state = %(settled)s OR {over}) AND (account.balance <> 0 OR account.held <> 0)
     ORDER BY contract.symbol, account.id
    """
).format(accounts=_ACCOUNTS, over=_OVER)
_SETTLED = sql.SQL("SELECT count(*) FROM exchange_contract AS contract WHERE state = %(settled)s OR {}").format(_OVER)


def _fills(view: View, _span: Span) -> Looked:
    def tell(symbol: str, notional: int, tokens: int, escrow: int, due: int, owed: int) -> Finding:
        told = f"its fills come to {notional} for {tokens} tokens; posted were {escrow} into escrow"
        return Finding(f"contract {symbol}", f"{told}, {due} tokens due to buyers and {owed} owed by providers")

    since = {"since": view.base.started_at}
    ((rows,),) = view.rows(_FILLS, since)
    return view.look(_UNLIKE_FILLS, since, tell, rows=rows)


def _fill_legs(view: View, _span: Span) -> Looked:
    def tell(fill: int, role: str, due: int, posted: int | None) -> Finding:
        if role == "figures":
            return Finding(
                f"fill {fill}", f"its price, lots and terms come to {due}, its own figures do not ({posted})"
            )
        return Finding(f"fill {fill}", f"it moves {due} on the {role} account, posted was {posted or 0}")

    since = {"since": view.base.started_at}
    ((rows,),) = view.rows(_FILLS, since)
    return view.look(_UNLIKE_LEGS, since, tell, rows=rows)


def _emptied(view: View, _span: Span) -> Looked:
    def tell(symbol: str, account: int, role: str, balance: int, held: int) -> Finding:
        told = f"its {role} account {account} still has balance {balance} and held {held}"
        return Finding(f"contract {symbol}", told)

    settled = {"settled": ContractState.SETTLED.value}
    ((rows,),) = view.rows(_SETTLED, settled)
    return view.look(_NOT_EMPTIED, settled, tell, rows=rows)


def register() -> None:
    """Tell the audit; once, at start-up."""
    register_hold_explanation(OPEN_ORDERS)
    register_hold_explanation(POSITIONS)
    register_check(
        Check(
            "exchange.fills",
            "What was posted for a contract is the sum of its fills, in money and in tokens",
            "A fill was changed, or something was posted as if it were one. The refs of the entries name their fills.",
            _fills,
        )
    )
    register_check(
        Check(
            "exchange.fill_legs",
            "Every fill's figures follow from its price, and its own legs are what was posted for it",
            "The fill or its entries were changed. Its order and the command log say what it was.",
            _fill_legs,
        )
    )
    register_check(
        Check(
            "exchange.settled_contracts",
            "Escrow, entitlements and obligations of contracts settled, or cancelled before delivery, are zero",
            "Money or tokens of the contract stayed behind, or came in after it was settled. Its statements say what"
            " was paid.",
            _emptied,
        )
    )
