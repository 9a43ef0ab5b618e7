"""What payments tell the audit: holds of payments on their way, and that nettings and payments are what was posted."""

from __future__ import annotations

from psycopg import sql

from ledger.audit import Check, Finding, HoldExplanation, Looked, Span, View, register_check, register_hold_explanation
from ledger.audit.findings import together
from ledger.chart import Role
from ledger.models import PartyKind
from settlement.disputes.postings import RELEASE as DISPUTE_RELEASE
from settlement.models import InstructionState
from settlement.payments.postings import HOLD, PAYOUT, RELEASE, RETURN, SOURCE

PAYMENTS = HoldExplanation(
    "settlement.payments",
    "payments on their way",
    sql.SQL(
        """
        SELECT party_id, currency_id AS asset_id, {cash} AS role, micros AS amount
          FROM settlement_paymentinstruction AS payment
          JOIN settlement_nettingset AS netting ON netting.id = payment.netting_id
         WHERE payment.state IN ({created}, {exported})
        """
    ).format(cash=Role.CASH.value, created=InstructionState.CREATED.value, exported=InstructionState.EXPORTED.value),
)

# A set's figures are those of its parties, and a party's those of its lines, but for what came back out of suspense.
# The house has what the lines leave: its own, and what its escrow gave.
_UNLIKE_LINES = """
    WITH summed AS (
        SELECT netting_id, party_id, sum(credits) AS credits, sum(debits) AS debits
          FROM (SELECT netted.netting_id, line.party_id,
                       sum(amount_micros) FILTER (WHERE amount_micros > 0) AS credits,
                       -sum(amount_micros) FILTER (WHERE amount_micros < 0) AS debits
                  FROM settlement_nettedrun AS netted JOIN settlement_settlementline AS line USING (run_id)
                 WHERE line.kind <> %(dispute_release)s
                 GROUP BY netted.netting_id, line.party_id) AS line
         GROUP BY netting_id, party_id
    ), told AS (
        SELECT party.netting_id, party.party_id, party.credits_micros, party.debits_micros, holder.kind
          FROM settlement_nettedparty AS party JOIN ledger_party AS holder ON holder.id = party.party_id
    )
    SELECT coalesce(told.netting_id, summed.netting_id), coalesce(told.party_id, summed.party_id),
           coalesce(credits_micros, 0)::text || ' and ' || coalesce(debits_micros, 0),
           coalesce(credits, 0)::text || ' and ' || coalesce(debits, 0)
      FROM told FULL JOIN summed USING (netting_id, party_id)
      LEFT JOIN ledger_party AS holder ON holder.id = coalesce(told.party_id, summed.party_id)
     WHERE holder.kind <> %(house)s
       AND (coalesce(credits_micros, 0) <> coalesce(credits, 0) OR coalesce(debits_micros, 0) <> coalesce(debits, 0))
     ORDER BY 1, 2
"""
_UNLIKE_PARTIES = """
    SELECT netting.id, netting.gross_micros, netting.net_micros, coalesce(sum(credits_micros), 0)::bigint,
           coalesce(sum(party.net_micros) FILTER (WHERE party.net_micros > 0), 0)::bigint,
           coalesce(sum(party.net_micros), 0)::bigint
      FROM settlement_nettingset AS netting LEFT JOIN settlement_nettedparty AS party ON party.netting_id = netting.id
     GROUP BY netting.id
    HAVING netting.gross_micros <> coalesce(sum(credits_micros), 0) OR coalesce(sum(party.net_micros), 0) <> 0
        OR netting.net_micros <> coalesce(sum(party.net_micros) FILTER (WHERE party.net_micros > 0), 0)
     ORDER BY 1
"""
# Each step of a payment has its transaction, of its kind and name, which moves its amount; and no other moves any.
_UNLIKE_POSTINGS = """
    WITH step AS (
        SELECT payment.end_to_end_id, payment.party_id, netting.currency_id, done.*
          FROM settlement_paymentinstruction AS payment
          JOIN settlement_nettingset AS netting ON netting.id = payment.netting_id
         CROSS JOIN LATERAL (VALUES
               (%(hold)s, '/hold', hold_transaction_id, 0::bigint, micros),
               (%(payout)s, '', paid_transaction_id, -micros, -micros),
               (CASE WHEN paid_transaction_id IS NULL THEN %(release)s ELSE %(return)s END,
                CASE WHEN paid_transaction_id IS NULL THEN '/release' ELSE '/return' END, returned_transaction_id,
                CASE WHEN paid_transaction_id IS NULL THEN 0 ELSE micros END,
                CASE WHEN paid_transaction_id IS NULL THEN -micros ELSE 0 END)
               ) AS done(kind, suffix, number, moved, held)
         WHERE done.number IS NOT NULL
    ), posted AS (
        SELECT id, kind, reference FROM ledger_transaction WHERE source = %(source)s AND kind = ANY(%(kinds)s)
    )
    SELECT step.end_to_end_id, posted.id, step.kind, posted.kind, step.moved, cash.moved, step.held, held.held
      FROM step FULL JOIN posted ON posted.id = step.number
      LEFT JOIN ledger_account AS account ON account.party_id = step.party_id AND account.asset_id = step.currency_id
           AND account.role = %(cash)s AND account.qualifier = ''
      LEFT JOIN LATERAL (SELECT coalesce(sum(amount), 0)::bigint AS moved FROM ledger_entry
                          WHERE transaction_id = posted.id AND account_id = account.id) AS cash ON true
      LEFT JOIN LATERAL (SELECT coalesce(sum(delta), 0)::bigint AS held FROM ledger_holdentry
                          WHERE transaction_id = posted.id AND account_id = account.id) AS held ON true
     WHERE step.number IS NULL OR posted.id IS NULL OR posted.kind <> step.kind
        OR posted.reference <> 'payout/' || step.end_to_end_id || step.suffix
        OR cash.moved <> step.moved OR held.held <> step.held
     ORDER BY 1, 2
"""


def _netting(view: View, _span: Span) -> Looked:
    kinds = {
        "source": SOURCE,
        "kinds": [HOLD, PAYOUT, RELEASE, RETURN],
        "hold": HOLD,
        "payout": PAYOUT,
        "release": RELEASE,
        "return": RETURN,
        "cash": Role.CASH.value,
    }
    of_lines = {"house": PartyKind.HOUSE.value, "dispute_release": DISPUTE_RELEASE}
    ((sets,),) = view.rows("SELECT count(*) FROM settlement_nettingset")
    ((payments,),) = view.rows("SELECT count(*) FROM settlement_paymentinstruction")
    return together(
        [
            view.look(_UNLIKE_LINES, of_lines, _tell_party, rows=0),
            view.look(_UNLIKE_PARTIES, None, _tell_set, rows=sets),
            view.look(_UNLIKE_POSTINGS, kinds, _tell_payment, rows=payments),
        ]
    )


def _tell_party(netting: int, party: int, told: str, lines: str) -> Finding:
    return Finding(f"netting set {netting}", f"party {party} is netted with {told}; its lines sum to {lines}")


def _tell_set(netting: int, gross: int, net: int, credits: int, positive: int, whole: int) -> Finding:
    told = f"it says gross {gross} and net {net}; its parties come to {credits} and {positive}, and sum to {whole}"
    return Finding(f"netting set {netting}", told)


def _tell_payment(
    name: str | None,
    number: int | None,
    kind: str | None,
    posted: str | None,
    moved: int | None,
    cash: int | None,
    held: int | None,
    holds: int | None,
) -> Finding:
    if name is None:
        return Finding(f"transaction {number}", f"it is a {posted}, but no payment has it")
    if number is None:
        return Finding(f"payment {name}", f"its {kind} is not in the journal")
    told = f"its {kind} should move {moved} and hold {held}; transaction {number}, a {posted}, moved {cash} and {holds}"
    return Finding(f"payment {name}", told)


def register() -> None:
    """Tell the audit; once, at start-up."""
    register_hold_explanation(PAYMENTS)
    register_check(
        Check(
            "settlement.netting",
            "Every netting is the sum of its lines, and every payment moved what it says, once",
            "Compare the netting set with the statements of its runs, and the payment with the bank's record.",
            _netting,
        )
    )
