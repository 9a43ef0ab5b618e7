"""What the exchange tells the audit of fills that were taken back: each has its posting, and each such posting one."""

from __future__ import annotations

from psycopg import sql

from exchange.clearing.drafts import SOURCE
from exchange.clearing.reversals import KIND
from ledger.audit import Check, Finding, Looked, Span, View, register_check
from ledger.chart import Role

# The legs that take a fill back, beside those that were posted. A posting without a fill that it takes back has no leg
# due, a reversal without a posting none posted.
_UNLIKE = sql.SQL(
    """
    WITH trade AS (
        SELECT fill.*, contract.symbol, contract.asset_id, product.currency_id, house.id AS house_id
          FROM exchange_fillreversal AS taken_back
          JOIN exchange_fill AS fill ON fill.id = taken_back.fill_id AND fill.contract_id = taken_back.contract_id
          JOIN exchange_contract AS contract ON contract.id = fill.contract_id
          JOIN exchange_product AS product ON product.id = contract.product_id
         CROSS JOIN (SELECT id FROM ledger_party WHERE kind = 'house') AS house
    ), due AS (
        SELECT 'reversal-' || trade.id AS reference, leg.*
          FROM trade CROSS JOIN LATERAL (VALUES
               (buyer_id, currency_id, {cash}, '', (notional + buyer_fee)::numeric),
               (buyer_id, asset_id, {entitlement}, '', -tokens),
               (provider_id, asset_id, {obligation}, '', tokens),
               (house_id, currency_id, {escrow}, symbol, -notional),
               (house_id, currency_id, {fees}, '', -buyer_fee))
               AS leg(party_id, asset_id, role, qualifier, amount)
         WHERE leg.amount <> 0
    ), posted AS (
        SELECT posting.reference, account.party_id, account.asset_id, account.role, account.qualifier,
               sum(entry.amount) AS amount
          FROM ledger_transaction AS posting
          JOIN ledger_entry AS entry ON entry.transaction_id = posting.id
          JOIN ledger_account AS account ON account.id = entry.account_id
         WHERE posting.source = {source} AND posting.kind = {kind}
         GROUP BY posting.reference, account.party_id, account.asset_id, account.role, account.qualifier
    )
    SELECT coalesce(due.reference, posted.reference) AS told, coalesce(due.role, posted.role), due.amount, posted.amount
      FROM due FULL JOIN posted USING (reference, party_id, asset_id, role, qualifier)
     WHERE due.amount IS DISTINCT FROM posted.amount
     UNION ALL
    SELECT 'reversal-' || fill_id, 'fill', NULL, NULL FROM exchange_fillreversal AS taken_back
     WHERE NOT EXISTS (SELECT FROM exchange_fill AS fill
                        WHERE fill.id = taken_back.fill_id AND fill.contract_id = taken_back.contract_id)
     ORDER BY 1, 2
    """
).format(
    source=SOURCE,
    kind=KIND,
    **{role.value: role.value for role in (Role.CASH, Role.ENTITLEMENT, Role.OBLIGATION, Role.ESCROW, Role.FEES)},
)


def _reversals(view: View, _span: Span) -> Looked:
    def tell(reference: str, role: str, due: int | None, posted: int | None) -> Finding:
        if role == "fill":
            return Finding(reference, "the fill that it takes back is not there")
        return Finding(
            reference, f"on the {role} account {due or 0} would take its fill back, posted was {posted or 0}"
        )

    ((rows,),) = view.rows("SELECT count(*) FROM exchange_fillreversal", {})
    return view.look(_UNLIKE, {}, tell, rows=rows)


def register() -> None:
    """Tell the audit; once, at start-up."""
    register_check(
        Check(
            "exchange.reversals",
            "Every fill that was taken back has a posting that mirrors it, and every such posting its fill",
            "The reversal or its entries were changed. The command log and the operators' decision say what it was.",
            _reversals,
        )
    )
