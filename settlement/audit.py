"""What settlement tells the audit: what positions still hold back, that debts have claims, that lines were posted."""

from __future__ import annotations

from psycopg import sql

from exchange.models import ContractState
from ledger.audit import Check, Finding, HoldExplanation, Looked, Span, View, register_check, register_hold_explanation
from ledger.chart import Role
from ledger.models import PartyKind
from settlement.models import JobState, JobStep, RunKind
from settlement.postings import BOND, OVERAGE, SOURCE

# What positions of settled contracts still hold back: until a contract is settled the exchange explains its holds in
# full. The last run that posted a position says what was taken out of its bond and overage hold, `Unheld` what could
# not be held again, and the release job of the contract's shard frees the rest; final runs of earlier releases, which
# name no usage that they read, freed it as they posted.
POSITIONS = HoldExplanation(
    "settlement.positions",
    "bonds and overage between initial settlement and their release",
    sql.SQL(
        """
        SELECT part.party_id, settled.currency_id AS asset_id, {cash} AS role,
               part.held - part.taken
               - (SELECT coalesce(sum(unheld.micros), 0) FROM settlement_unheld AS unheld
                   WHERE unheld.contract_id = settled.contract_id AND unheld.buyer_id = settled.buyer_id
                     AND unheld.provider_id = settled.provider_id AND unheld.ref = part.ref) AS amount
          FROM (SELECT DISTINCT ON (found.contract_id, found.buyer_id, found.provider_id)
                       found.contract_id, found.buyer_id, found.provider_id, found.outcome, found.evidence,
                       run.currency_id
                  FROM settlement_positionsettlement AS found
                  JOIN settlement_settlementrun AS run ON run.id = found.run_id AND run.kind <> {indicative}
                 ORDER BY found.contract_id, found.buyer_id, found.provider_id, found.run_id DESC) AS settled
          JOIN exchange_contract AS contract ON contract.id = settled.contract_id AND contract.state = {settled}
         CROSS JOIN LATERAL (VALUES
             ({bond}, provider_id, (evidence ->> 'bond_micros')::numeric, (outcome ->> 'damages_micros')::numeric),
             ({overage}, buyer_id, (evidence ->> 'overage_hold_micros')::numeric,
              (outcome -> 'overage' ->> 'gross_micros')::numeric + (outcome ->> 'overage_fee_micros')::numeric
              + coalesce((outcome -> 'made_up' ->> 'gross_micros')::numeric, 0)
              + coalesce((outcome ->> 'made_up_fee_micros')::numeric, 0))
             ) AS part(ref, party_id, held, taken)
         WHERE NOT EXISTS (
               SELECT FROM settlement_runcontract AS covered
                 JOIN settlement_settlementrun AS run ON run.id = covered.run_id
                WHERE covered.contract_id = settled.contract_id
                  AND (EXISTS (SELECT FROM settlement_settlementjob AS job
                                WHERE job.run_id = run.id AND job.step = {release} AND job.state = {done}
                                  AND job.subject_id = covered.shard)
                       OR run.kind = {final} AND run.usage_through IS NULL
                          AND EXISTS (SELECT FROM settlement_settlementjob AS job
                                       WHERE job.run_id = run.id AND job.step = {settle} AND job.state = {done}
                                         AND job.subject_id = covered.shard)))
        """
    ).format(
        cash=Role.CASH.value,
        bond=BOND,
        overage=OVERAGE,
        indicative=RunKind.INDICATIVE.value,
        final=RunKind.FINAL.value,
        settled=ContractState.SETTLED.value,
        settle=JobStep.SETTLE.value,
        release=JobStep.RELEASE.value,
        done=JobState.DONE.value,
    ),
)

# What the ledger posted for a party under a run's references and refs, and what its lines say, on cash (the house: its
# fees). A line of a run that posts names a transaction, or moves nothing: what lines without one say must not even
# cancel out. Lines of runs of earlier releases were not kept.
_LINES = """
    WITH said AS (
        SELECT line.party_id, line.reference, line.ref,
               sum(CASE line.reference WHEN '' THEN abs(line.amount_micros) ELSE line.amount_micros END) AS micros
          FROM settlement_settlementline AS line JOIN settlement_settlementrun AS run ON run.id = line.run_id
         WHERE line.reference <> '' OR run.kind <> %(indicative)s GROUP BY 1, 2, 3
    ), posted AS (
        SELECT account.party_id, transaction.reference, entry.ref, sum(entry.amount) AS micros
          FROM (SELECT DISTINCT reference FROM said) AS told
          JOIN ledger_transaction AS transaction
            ON transaction.source = %(source)s AND transaction.reference = told.reference
          JOIN ledger_entry AS entry ON entry.transaction_id = transaction.id
          JOIN ledger_account AS account ON account.id = entry.account_id
          JOIN ledger_party AS party ON party.id = account.party_id
         WHERE account.role = CASE WHEN party.kind = %(house)s THEN %(fees)s ELSE %(cash)s END
         GROUP BY 1, 2, 3
    )
    SELECT party.code, reference, ref, coalesce(said.micros, 0), coalesce(posted.micros, 0)
      FROM said FULL JOIN posted USING (party_id, reference, ref) JOIN ledger_party AS party ON party.id = party_id
     WHERE coalesce(said.micros, 0) <> coalesce(posted.micros, 0)
     ORDER BY party.code, reference, ref
"""

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


def _lines(view: View, _span: Span) -> Looked:
    def tell(party: str, reference: str, ref: str, said: int, posted: int) -> Finding:
        told = f"its lines under {reference} ({ref}) sum to {said} micros, the ledger posted {posted}"
        if not reference:
            told = f"its lines that name no transaction come to {said} micros"
        return Finding(f"party {party}", told)

    names = {
        "source": SOURCE,
        "house": PartyKind.HOUSE.value,
        "fees": Role.FEES.value,
        "cash": Role.CASH.value,
        "indicative": RunKind.INDICATIVE.value,
    }
    ((rows,),) = view.rows("SELECT count(*) FROM settlement_settlementline", names)
    return view.look(_LINES, names, tell, rows=rows)


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
    register_check(
        Check(
            "settlement.lines",
            "The lines of every statement are what the ledger posted, to the micro",
            "The journal says what was posted; `manage.py recompute_run` says what the run should have found.",
            _lines,
        )
    )
