"""What accounts hold back against those who say what it is for: nothing more, and nothing less."""

from __future__ import annotations

from psycopg import sql

from ledger.audit.findings import Finding, Looked
from ledger.audit.layout import Span
from ledger.audit.registry import Check, HoldExplanation, hold_explanations
from ledger.audit.snapshot import View
from ledger.chart import Role
from ledger.models import TransferKind, TransferState

_ONE = sql.SQL("SELECT {place} AS place, party_id, asset_id, role, amount::numeric AS amount FROM ({query}) AS part")
_UNEXPLAINED = sql.SQL(
    """
    WITH part AS ({parts}), by_reason AS (
        SELECT party_id, asset_id, role, place, sum(amount) AS amount FROM part GROUP BY 1, 2, 3, 4
    ), explained AS (
        SELECT party_id, asset_id, role, sum(amount) AS amount,
               array_agg(place ORDER BY place) AS places, array_agg(amount::text ORDER BY place) AS amounts
          FROM by_reason GROUP BY party_id, asset_id, role
    )
    SELECT account.id, party_id, asset_id, role, coalesce(account.held, 0)::text, coalesce(explained.amount, 0)::text,
           explained.places, explained.amounts
      FROM (SELECT id, party_id, asset_id, role, held FROM ledger_account WHERE qualifier = '') AS account
      FULL JOIN explained USING (party_id, asset_id, role)
     WHERE coalesce(account.held, 0) <> coalesce(explained.amount, 0)
     UNION ALL
    SELECT id, party_id, asset_id, role, held::text, '0', NULL, NULL FROM ledger_account
     WHERE qualifier <> '' AND held <> 0
     ORDER BY 1, 2, 3
"""
)

WITHDRAWALS = HoldExplanation(
    "ledger.withdrawals",
    "withdrawals that wait for approval",
    sql.SQL(
        """
        SELECT party_id, currency_id AS asset_id, {cash} AS role, micros AS amount FROM ledger_transfer
         WHERE kind = {withdrawal} AND state = {requested}
        """
    ).format(
        cash=sql.Literal(Role.CASH.value),
        withdrawal=sql.Literal(TransferKind.WITHDRAWAL.value),
        requested=sql.Literal(TransferState.REQUESTED.value),
    ),
)


def _holds(view: View, _span: Span) -> Looked:
    explanations = hold_explanations()
    parts = sql.SQL(" UNION ALL ").join(
        _ONE.format(place=sql.Literal(place), query=explanation.query) for place, explanation in enumerate(explanations)
    )
    ((accounts,),) = view.rows("SELECT count(*) FROM ledger_account WHERE held <> 0")

    def tell(
        account: int | None,
        party: int,
        asset: int,
        role: str,
        held: str,
        explained: str,
        places: list[int] | None,
        amounts: list[str] | None,
    ) -> Finding:
        named = f"account {account}"
        if account is None:
            named = f"missing {role} account of party {party} in asset {asset}"
        reasons = [
            f"{explanations[place].title} {amount}" for place, amount in zip(places or (), amounts or (), strict=True)
        ]
        told = f"it holds back {held}, explained is {explained}"
        return Finding(named, f"{told} ({', '.join(reasons)})" if reasons else told)

    return view.look(_UNEXPLAINED.format(parts=parts), None, tell, rows=accounts)


CHECKS = (
    Check(
        "holds",
        "Every amount that an account holds back is explained, and every reason to hold is held",
        "Something holds back money or tokens for no reason, or does not although it should. The hold entries of the"
        " account name what each change was for.",
        _holds,
    ),
)
