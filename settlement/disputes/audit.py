"""What disputes tell the audit: that suspense holds what is in dispute and nothing else, that evidence is as it came,
and that each is about a line that there is."""

from __future__ import annotations

from ledger.audit import Check, Finding, Looked, Span, View, register_check
from ledger.chart import Role
from ledger.models import PartyKind
from ledger.money import format_micros
from settlement.disputes.entries import PENDING
from settlement.disputes.lines import FEE, SHARE
from settlement.disputes.postings import SUSPEND
from settlement.models import RunKind
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

# The line that a dispute names, by its number on the statement, and who are the sides of it: see `find_line`.
_ASTRAY = """
    SELECT dispute.id
      FROM settlement_dispute AS dispute
      JOIN settlement_statement AS told ON told.id = dispute.statement_id
      JOIN settlement_settlementrun AS run ON run.id = told.run_id
      JOIN ledger_party AS own ON own.id = told.party_id
      LEFT JOIN LATERAL (
           SELECT * FROM settlement_settlementline
            WHERE run_id = told.run_id AND party_id = told.party_id
            ORDER BY contract_place, place OFFSET greatest(dispute.line_number - 1, 0) LIMIT 1) AS line ON true
      LEFT JOIN ledger_party AS other ON other.id = line.counterparty_id
      LEFT JOIN settlement_positionsettlement AS position
        ON position.run_id = told.run_id AND position.contract_id = dispute.contract_id
       AND position.buyer_id = dispute.buyer_id AND position.provider_id = dispute.provider_id
     CROSS JOIN LATERAL (
           SELECT line.kind = %(share)s AND other.kind = %(provider)s AS of_owner,
                  array(SELECT jsonb_path_query(position.outcome, '$.*.shares[*].party_id')) AS owners,
                  (SELECT id FROM ledger_party WHERE kind = %(house)s) AS house_id) AS share
     CROSS JOIN LATERAL (
           SELECT CASE WHEN share.of_owner THEN other.id WHEN own.kind = %(buyer)s THEN other.id ELSE own.id END
                      AS provider_id,
                  CASE WHEN share.of_owner THEN dispute.buyer_id WHEN own.kind = %(buyer)s THEN own.id ELSE other.id END
                      AS buyer_id,
                  CASE WHEN share.of_owner THEN to_jsonb(own.id) = ANY(share.owners) AND dispute.payee_id = other.id
                       WHEN own.kind <> %(buyer)s AND line.kind = %(share)s
                       THEN dispute.payee_id = share.house_id OR to_jsonb(dispute.payee_id) = ANY(share.owners)
                       WHEN right(line.kind, 4) = %(fee)s THEN dispute.payee_id = share.house_id
                       ELSE dispute.payee_id = other.id END AS payee_fits) AS sides
     WHERE (dispute.party_id, dispute.line_kind, dispute.contract_id, dispute.buyer_id, dispute.provider_id)
           IS DISTINCT FROM (told.party_id, line.kind, line.contract_id, sides.buyer_id, sides.provider_id)
        OR dispute.line_number < 1 OR position.run_id IS NULL OR dispute.payee_id = dispute.party_id
        OR sides.payee_fits IS NOT TRUE OR run.kind = %(indicative)s
        OR dispute.disputed_micros > greatest(abs(line.amount_micros), abs(line.value_micros))
     ORDER BY dispute.id
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


def _lines(view: View, _span: Span) -> Looked:
    def tell(dispute: int) -> Finding:
        return Finding(f"dispute {dispute}", "its parties, kind or amount are not those of the line that it names")

    names = {
        "share": SHARE,
        "fee": FEE,
        "house": PartyKind.HOUSE.value,
        "buyer": PartyKind.BUYER.value,
        "provider": PartyKind.PROVIDER.value,
        "indicative": RunKind.INDICATIVE.value,
    }
    ((rows,),) = view.rows("SELECT count(*) FROM settlement_dispute")
    return view.look(_ASTRAY, names, tell, rows=rows)


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
        Check(
            "settlement.disputed_lines",
            "Every dispute is about a line of its statement, between the parties of that line, within its amount",
            "Nobody opened it the usual way: decide nothing in it, and find out who wrote it.",
            _lines,
        ),
    )
    for check in checks:
        register_check(check)
