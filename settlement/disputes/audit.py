"""What disputes tell the audit: that suspense holds what is in dispute and nothing else, and evidence is as it came."""

from __future__ import annotations

from ledger.audit import Check, Finding, Looked, Span, View, register_check
from ledger.chart import Role
from ledger.money import format_micros
from settlement.disputes.entries import PENDING
from settlement.disputes.postings import SUSPEND
from settlement.postings import SOURCE

# In suspense is what disputes wait for, and what the calculation kept back for open discrepancy cases. A position's
# latest figures count once the ledger has the transaction that they name.
_SUSPENSE = """
    WITH posted AS (
        SELECT DISTINCT ON (contract_id, buyer_id, provider_id)
               contract_id, coalesce((outcome ->> 'suspended_micros')::numeric, 0) AS micros
          FROM settlement_positionsettlement AS settled
         WHERE reference <> ''
           AND EXISTS (SELECT FROM ledger_transaction AS posted
                        WHERE posted.source = %(source)s AND posted.reference = settled.reference)
         ORDER BY contract_id, buyer_id, provider_id, run_id DESC
    ), wanted AS (
        SELECT contract_id, suspended_micros AS micros FROM settlement_dispute WHERE state = ANY(%(pending)s)
         UNION ALL
        SELECT contract_id, micros FROM posted WHERE micros <> 0
    ), found AS (
        SELECT contract.symbol, wanted.micros AS wanted, 0 AS found
          FROM wanted JOIN exchange_contract AS contract ON contract.id = wanted.contract_id
         UNION ALL
        SELECT qualifier, 0, balance FROM ledger_account WHERE role = %(suspense)s
    )
    SELECT symbol, sum(wanted), sum(found) FROM found
     GROUP BY symbol HAVING sum(wanted) <> sum(found) ORDER BY symbol
"""

_FORGED = """
    SELECT entry.dispute_id, evidence.id FROM settlement_disputeevidence AS evidence
      JOIN settlement_disputeentry AS entry ON entry.id = evidence.entry_id
     WHERE sha256(evidence.content) <> evidence.digest ORDER BY evidence.id
"""

_UNPOSTED = """
    SELECT dispute.id, dispute.suspended_micros, coalesce(sum(entry.amount), 0)
      FROM settlement_dispute AS dispute
      LEFT JOIN ledger_transaction AS posted
        ON posted.source = %(source)s AND posted.reference = 'dispute/' || dispute.id || '/suspense'
       AND posted.kind = %(kind)s
      LEFT JOIN ledger_entry AS entry ON entry.transaction_id = posted.id AND entry.amount > 0
     GROUP BY dispute.id HAVING dispute.suspended_micros <> coalesce(sum(entry.amount), 0) ORDER BY dispute.id
"""


def _suspense(view: View, _span: Span) -> Looked:
    def tell(symbol: str, wanted: int, found: int) -> Finding:
        told = f"{format_micros(int(found))} is in suspense, {format_micros(int(wanted))} is in dispute"
        return Finding(f"contract {symbol}", told)

    names = {"source": SOURCE, "suspense": Role.SUSPENSE.value, "pending": [state.value for state in PENDING]}
    ((rows,),) = view.rows("SELECT count(*) FROM ledger_account WHERE role = %(suspense)s", names)
    return view.look(_SUSPENSE, names, tell, rows=rows)


def _suspensions(view: View, _span: Span) -> Looked:
    def tell(dispute: int, said: int, posted: int) -> Finding:
        told = f"{format_micros(said)} is said to have been suspended, {format_micros(int(posted))} was"
        return Finding(f"dispute {dispute}", told)

    ((rows,),) = view.rows("SELECT count(*) FROM settlement_dispute")
    return view.look(_UNPOSTED, {"source": SOURCE, "kind": SUSPEND}, tell, rows=rows)


def _evidence(view: View, _span: Span) -> Looked:
    def tell(dispute: int, evidence: int) -> Finding:
        return Finding(f"dispute {dispute}", f"file {evidence} is not what its digest says")

    ((rows,),) = view.rows("SELECT count(*) FROM settlement_disputeevidence")
    return view.look(_FORGED, None, tell, rows=rows)


def register() -> None:
    """Tell the audit; once, at start-up."""
    checks = (
        Check(
            "settlement.suspense",
            "In suspense of each contract is what is in dispute, to the micro",
            "The disputes of the contract and their postings (dispute/<number>/…) say which of both is wrong.",
            _suspense,
        ),
        Check(
            "settlement.suspensions",
            "Of each dispute so much was suspended as it says",
            "The journal says what was: correct the dispute from a backup.",
            _suspensions,
        ),
        Check(
            "settlement.evidence",
            "Evidence in disputes is what came in",
            "Ask the party for the file with this digest, or take it from a backup.",
            _evidence,
        ),
    )
    for check in checks:
        register_check(check)
