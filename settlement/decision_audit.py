"""What settlement tells the audit of acts that take two persons: the action log has both, and what they decided.

The database lets such a row begin as a request only. Whoever goes on from there with plain SQL leaves no trace in the
log, or has to forge one there, under a name and for the auditor to read.
"""

from __future__ import annotations

from psycopg import sql

from ledger.audit import Check, Finding, Looked, Span, View, register_check
from settlement.models import CaseState, DisputeState, RequestState

# `wish` is what whoever asked said in the log, `about` what the other one had to say again.
_DECIDED = sql.SQL(
    """
    WITH decided AS (
        SELECT 'payout_account' AS what, account.id, requested_by AS asked_by, 'request_payout_account' AS asked,
               jsonb_build_object('party', party.code, 'iban', iban) AS wish,
               decided_by, 'confirm_payout_account' AS done, '{{}}'::jsonb AS about
          FROM settlement_payoutaccount AS account JOIN ledger_party AS party ON party.id = account.party_id
         WHERE state = {confirmed}
         UNION ALL
        SELECT 'force_majeure', excused.id, requested_by, 'request_force_majeure',
               jsonb_build_object('provider', party.code, 'product', coalesce(product.code, ''),
                                  'starts_at', to_char(starts_at AT TIME ZONE 'UTC', {instant}),
                                  'ends_at', to_char(ends_at AT TIME ZONE 'UTC', {instant})),
               decided_by, 'confirm_force_majeure', '{{}}'
          FROM settlement_forcemajeure AS excused JOIN ledger_party AS party ON party.id = excused.provider_id
          LEFT JOIN exchange_product AS product ON product.id = excused.product_id
         WHERE state = {confirmed}
         UNION ALL
        SELECT 'case', id, proposed_by, 'propose_ruling', jsonb_build_object('ruling', ruling),
               decided_by, 'confirm_ruling', jsonb_build_object('ruling', ruling)
          FROM settlement_discrepancycase WHERE state = {ruled}
         UNION ALL
        SELECT 'dispute', id, proposed_by, 'propose_dispute', said, decided_by, 'decide_dispute', said
          FROM settlement_dispute AS dispute
         CROSS JOIN LATERAL (SELECT jsonb_build_object('decided', (decided_micros / 1e6)::numeric(20, 6)::text))
                    AS wished(said)
         WHERE state IN ({upheld}, {rejected}) OR decided_by <> ''
            OR EXISTS (SELECT FROM settlement_settlementrun AS run WHERE run.dispute_id = dispute.id)
    )
    SELECT what, id, asked_by, decided_by FROM decided
     WHERE upper(asked_by) = upper(decided_by)
        OR NOT EXISTS (SELECT FROM ledger_actionlog AS log
                        WHERE log.subject = what || ':' || decided.id AND log.action = asked AND log.actor = asked_by
                          AND log.details @> wish)
        OR NOT EXISTS (SELECT FROM ledger_actionlog AS log
                        WHERE log.subject = what || ':' || decided.id AND log.action = done AND log.actor = decided_by
                          AND log.details @> about)
     ORDER BY what, id
    """
).format(
    confirmed=RequestState.CONFIRMED.value,
    ruled=CaseState.DECIDED.value,
    upheld=DisputeState.UPHELD.value,
    rejected=DisputeState.REJECTED.value,
    instant='YYYY-MM-DD"T"HH24:MI:SS"+00:00"',
)
_COUNTED = (
    "SELECT (SELECT count(*) FROM settlement_payoutaccount) + (SELECT count(*) FROM settlement_forcemajeure)"
    " + (SELECT count(*) FROM settlement_discrepancycase) + (SELECT count(*) FROM settlement_dispute)"
)


def _decisions(view: View, _span: Span) -> Looked:
    def tell(what: str, number: int, asked_by: str, decided_by: str) -> Finding:
        told = f"the action log does not say that {asked_by!r} asked for what it is and {decided_by!r} decided it"
        return Finding(f"{what.replace('_', ' ')} {number}", told)

    ((rows,),) = view.rows(_COUNTED)
    return view.look(_DECIDED, None, tell, rows=rows)


def register() -> None:
    """Tell the audit; once, at start-up."""
    register_check(
        Check(
            "settlement.decisions",
            "Payout accounts, force majeure, rulings and disputes were decided by two persons, as the action log says",
            "Somebody went around the operators, or changed what they decided. Pay nothing and settle nothing that"
            " follows from it before both persons have been asked.",
            _decisions,
        )
    )
