"""What settlement tells the audit: what positions still hold back after the initial run, and that debts have claims."""

from __future__ import annotations

from psycopg import sql

from exchange.models import ContractState
from ledger.audit import Check, Finding, HoldExplanation, Looked, Span, View, register_check, register_hold_explanation
from ledger.chart import Role
from settlement.adjustments import ADJUSTMENT
from settlement.models import JobState, JobStep, RunKind
from settlement.postings import SOURCE, Line

# Positions of contracts that an initial run took and whose final run is not through yet. The key is the run's, as in
# `SettlementRun.key`, without its kind.
_UNFINISHED = sql.SQL(
    """
    SELECT run.id AS run_id, run.currency_id, contract.id AS contract_id, contract.symbol,
           contract.state = {settled} AS ours,
           to_char(run.period_start AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MI"Z"') || '/'
           || div(extract(epoch FROM run.period_end - run.period_start), 60) || '/' AS run_key
      FROM settlement_settlementrun AS run
      JOIN settlement_settlementjob AS job ON job.run_id = run.id AND job.step = {settle}
      JOIN exchange_contract AS contract ON contract.id = job.subject_id
     WHERE run.kind = {initial}
       AND NOT EXISTS (
           SELECT FROM settlement_settlementrun AS later
             JOIN settlement_settlementjob AS job ON job.run_id = later.id AND job.step = {settle}
            WHERE later.kind = {final} AND later.currency_id = run.currency_id
              AND later.period_start = run.period_start AND later.period_end = run.period_end
              AND job.subject_id = contract.id AND job.state = {done})
    """
).format(
    settled=ContractState.SETTLED.value,
    settle=JobStep.SETTLE.value,
    initial=RunKind.INITIAL.value,
    final=RunKind.FINAL.value,
    done=JobState.DONE.value,
)


def _posted(line: str, kind: RunKind) -> sql.Composed:
    """SQL for whether a line of the position is in the journal."""
    return sql.SQL(
        """
        EXISTS (SELECT FROM ledger_transaction WHERE source = {source}
                   AND reference = run_key || {kind} || symbol || '/' || buyer.code || '/' || provider.code || {line})
        """
    ).format(source=SOURCE, kind=f"{kind.value}/", line=f"/{line}")


# Until a contract is settled the exchange explains bond and overage hold in full, and only what the initial run already
# took out of them is told here. Afterwards both are: what is left, and nothing once the adjustment freed it.
POSITIONS = HoldExplanation(
    "settlement.positions",
    "bonds and overage between initial and final settlement",
    sql.SQL(
        """
        SELECT party_id, currency_id AS asset_id, {cash} AS role,
               CASE WHEN adjusted THEN 0 ELSE CASE WHEN ours THEN held ELSE 0 END - taken END AS amount
          FROM ({unfinished}) AS unfinished
         CROSS JOIN LATERAL (SELECT buyer_id, provider_id, sum(bond) AS bond, sum(overage_hold) AS overage_hold
                               FROM exchange_fill AS fill
                              WHERE fill.contract_id = unfinished.contract_id
                                AND NOT EXISTS (SELECT FROM exchange_fillreversal WHERE fill_id = fill.id)
                              GROUP BY buyer_id, provider_id) AS position
          JOIN ledger_party AS buyer ON buyer.id = position.buyer_id
          JOIN ledger_party AS provider ON provider.id = position.provider_id
          LEFT JOIN settlement_positionsettlement AS settled
            ON settled.run_id = unfinished.run_id AND settled.contract_id = unfinished.contract_id
           AND settled.buyer_id = position.buyer_id AND settled.provider_id = position.provider_id
         CROSS JOIN LATERAL (SELECT {adjusted} AS adjusted, {damages} AS damages, {overage} AS overage) AS posted
         CROSS JOIN LATERAL (VALUES
             (position.provider_id, bond, CASE WHEN damages THEN (outcome ->> 'damages_micros')::numeric ELSE 0 END),
             (position.buyer_id, overage_hold,
              CASE WHEN overage THEN (outcome -> 'overage' ->> 'gross_micros')::numeric
                                     + (outcome ->> 'overage_fee_micros')::numeric ELSE 0 END)
             ) AS part(party_id, held, taken)
        """
    ).format(
        cash=Role.CASH.value,
        unfinished=_UNFINISHED,
        adjusted=_posted(ADJUSTMENT, RunKind.FINAL),
        damages=_posted(Line.DAMAGES, RunKind.INITIAL),
        overage=_posted(Line.OVERAGE, RunKind.INITIAL),
    ),
)

# A claim is qualified by its debtor's code, and after a slash by the account that wants to be paid.
_UNCLAIMED = """
    WITH owed AS (
        SELECT account.asset_id, party.code AS debtor, account.balance AS debt, 0 AS claim
          FROM ledger_account AS account JOIN ledger_party AS party ON party.id = account.party_id
         WHERE account.role = %(debt)s
         UNION ALL
        SELECT asset_id, split_part(qualifier, '/', 1), 0, balance FROM ledger_account WHERE role = %(claim)s
    )
    SELECT debtor, asset_id, sum(debt), sum(claim) FROM owed
     GROUP BY debtor, asset_id HAVING sum(debt) + sum(claim) <> 0 ORDER BY debtor, asset_id
"""


def _debts(view: View, _span: Span) -> Looked:
    def tell(debtor: str, asset: int, debt: int, claims: int) -> Finding:
        return Finding(f"party {debtor}", f"its debt in asset {asset} is {debt}, the claims on it sum to {claims}")

    roles = {"debt": Role.DEBT.value, "claim": Role.CLAIM.value}
    ((rows,),) = view.rows("SELECT count(*) FROM ledger_account WHERE role IN (%(debt)s, %(claim)s)", roles)
    return view.look(_UNCLAIMED, roles, tell, rows=rows)


def register() -> None:
    """Tell the audit; once, at start-up."""
    register_hold_explanation(POSITIONS)
    register_check(
        Check(
            "settlement.debts",
            "Every debt is claimed by those who are owed it, to the micro",
            "The adjustments of the final runs, and what was paid later, say which debt or claim is wrong.",
            _debts,
        )
    )
