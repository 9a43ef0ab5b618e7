"""What the exchange tells the audit of acts that take two operators: none of them was done without their decision.

The database refuses others, unless its triggers are off. From the decision to what came of it each step is looked at
both ways: the command in the line, a provider's default, the fills it took back, the contract it cancelled.
"""

from __future__ import annotations

from psycopg import sql

from exchange.models import ContractState, DecisionKind, DecisionState
from ledger.audit import Check, Finding, Looked, Span, View, register_check

# `carried` are the commands that stand in the line as they were decided, `done` those of them that were accepted.
_UNDECIDED = sql.SQL(
    """
    WITH line AS (
        SELECT seq, kind, contract_id, actor,
               payload || jsonb_build_object('contract_id', contract_id, 'provider_id', party_id) AS content
          FROM exchange_intake WHERE kind = ANY({kinds})
    ), decided AS (
        SELECT id, kind, seqs, decided_by, decided_at, payload -> 'provider_id' AS provider_id,
               jsonb_build_object('contract_id', NULL, 'provider_id', NULL) || payload
               || jsonb_build_object('reason', reason, 'decision_id', id) AS content
          FROM exchange_operatordecision WHERE state = {approved} AND upper(decided_by) <> upper(requested_by)
    ), carried AS (
        SELECT decided.id, line.seq, line.kind, line.contract_id, line.content -> 'fill_id' AS fill_id
          FROM line JOIN decided ON decided.content = line.content AND decided.kind = line.kind
                                AND decided.decided_by = line.actor AND decided.seqs @> to_jsonb(line.seq)
    ), done AS (
        SELECT carried.*, result.batch_no, batch.ran_at
          FROM carried
          JOIN exchange_intakeresult AS result ON result.seq = carried.seq AND result.result ->> 'status' = 'accepted'
          JOIN exchange_sequencerbatch AS batch ON batch.no = result.batch_no
    )
    SELECT 'command' AS what, seq::text, kind
      FROM line WHERE NOT EXISTS (SELECT FROM carried WHERE carried.seq = line.seq)
     UNION ALL
    SELECT 'decision', decided.id::text, kind
      FROM decided CROSS JOIN LATERAL (SELECT count(*) FROM carried WHERE carried.id = decided.id) AS commands(found)
     WHERE found = 0 OR found <> jsonb_array_length(seqs) OR (found > 1 AND kind <> {default})
     UNION ALL
    SELECT 'default', coalesce(told.provider_id::text, decided.provider_id::text), ''
      FROM exchange_providerdefault AS told
      FULL JOIN (SELECT * FROM decided WHERE kind = {default}) AS decided ON decided.id = told.decision_id
     WHERE (decided.provider_id, decided.decided_at) IS DISTINCT FROM (to_jsonb(told.provider_id), told.defaulted_at)
     UNION ALL
    SELECT 'reversal', told.fill_id::text, told.command_seq::text
      FROM exchange_fillreversal AS told
     WHERE NOT EXISTS (SELECT FROM done WHERE done.seq = told.command_seq AND done.batch_no = told.batch_no
                          AND done.contract_id = told.contract_id
                          AND (done.kind = {cancel} OR done.fill_id = to_jsonb(told.fill_id)))
     UNION ALL
    SELECT 'contract', contract.symbol, contract.state
      FROM exchange_contract AS contract
      LEFT JOIN done ON done.kind = {cancel} AND done.contract_id = contract.id
     WHERE contract.cancelled_at IS DISTINCT FROM done.ran_at
        OR (contract.state = {cancelled} AND done.seq IS NULL)
        OR (contract.state NOT IN ({cancelled}, {settled}) AND done.seq IS NOT NULL)
     ORDER BY 1, 2
    """
).format(
    kinds=DecisionKind.values,
    approved=DecisionState.APPROVED.value,
    default=DecisionKind.DEFAULT_PROVIDER.value,
    cancel=DecisionKind.CANCEL_CONTRACT.value,
    cancelled=ContractState.CANCELLED.value,
    settled=ContractState.SETTLED.value,
)
_COUNTED = (
    "SELECT (SELECT count(*) FROM exchange_operatordecision) + (SELECT count(*) FROM exchange_providerdefault)"
    " + (SELECT count(*) FROM exchange_fillreversal)"
)


def _decisions(view: View, _span: Span) -> Looked:
    def tell(what: str, which: str, about: str) -> Finding:
        match what:
            case "command":
                return Finding(f"command {which}", f"no two operators approved this {about}, or not as it stands there")
            case "decision":
                return Finding(f"decision {which}", f"the commands that carry out its {about} are not those it names")
            case "default":
                return Finding(f"party {which}", "its default is not what two operators decided, or not since then")
            case "reversal":
                return Finding(
                    f"fill {which}", f"command {about}, by which it was taken back, was not decided to do so"
                )
            case _:
                return Finding(f"contract {which}", f"it is {about}, and what was decided on cancelling it differs")

    ((rows,),) = view.rows(_COUNTED, {})
    return view.look(_UNDECIDED, {}, tell, rows=rows)


def register() -> None:
    """Tell the audit; once, at start-up."""
    register_check(
        Check(
            "exchange.decisions",
            "What takes two operators was decided by two, and what they decided is what was done",
            "Somebody went around the operators, or changed what they decided. The action log says who asked for what"
            " and who approved it.",
            _decisions,
        )
    )
