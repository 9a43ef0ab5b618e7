"""What settlement tells the audit of its runs: each that went on settled what it covers, from inputs that it kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from psycopg import sql

from exchange.models import ContractState
from ledger.audit import Check, Finding, Layout, Looked, Span, View, cut_to_size, register_check
from settlement.models import JobState, JobStep, RunKind, RunState

CONTRACTS_A_RANGE = 500

# Runs of earlier releases name no usage that they read, and kept no inputs.
_UNSETTLED = sql.SQL(
    """
    WITH run AS (
        SELECT id, kind, state, input_digest FROM settlement_settlementrun
         WHERE id BETWEEN %(first)s AND %(last)s AND state <> {open} AND usage_through IS NOT NULL
    ), kept AS (
        SELECT input.run_id, input.contract_id, digest, sha256(content) = digest AS whole
          FROM settlement_frozeninput AS input JOIN run ON run.id = input.run_id
    )
    SELECT run.id AS run, contract.symbol,
           CASE WHEN kept.run_id IS NULL THEN 'it was settled from nothing that was kept'
                WHEN NOT kept.whole THEN 'what it was settled from is not what its digest says'
                ELSE 'it was settled, and is ' || contract.state END AS told
      FROM run JOIN settlement_runcontract AS covered ON covered.run_id = run.id
      JOIN exchange_contract AS contract ON contract.id = covered.contract_id
      LEFT JOIN kept ON kept.run_id = run.id AND kept.contract_id = covered.contract_id
     WHERE kept.run_id IS NULL OR NOT kept.whole OR (run.kind <> {indicative} AND contract.state <> {settled})
     UNION ALL
    SELECT run.id, '', 'its input digest is not over what its contracts were settled from'
      FROM run
     WHERE input_digest IS DISTINCT FROM
           (SELECT sha256(coalesce(string_agg(digest, '' ORDER BY digest), '')) FROM kept WHERE kept.run_id = run.id)
     UNION ALL
    SELECT run.id, '', 'it is ' || run.state || ', and its job to ' || job.step || ' ' || job.subject_id || ' is '
                       || job.state
      FROM run JOIN settlement_settlementjob AS job ON job.run_id = run.id AND job.state <> {done}
     WHERE job.step = {settle} OR (job.step = {state} AND run.state <> {stating})
        OR (job.step = {sign} AND run.state = {published})
     ORDER BY run, symbol, told
    """
).format(
    open=RunState.OPEN.value,
    stating=RunState.STATING.value,
    published=RunState.PUBLISHED.value,
    indicative=RunKind.INDICATIVE.value,
    settled=ContractState.SETTLED.value,
    done=JobState.DONE.value,
    settle=JobStep.SETTLE.value,
    state=JobStep.STATE.value,
    sign=JobStep.SIGN.value,
)
_STRETCHES = """
    SELECT run.id, 1 + count(covered.run_id) FROM settlement_settlementrun AS run
      LEFT JOIN settlement_runcontract AS covered ON covered.run_id = run.id GROUP BY run.id ORDER BY run.id
"""


def _by_runs(view: View, _layout: Layout) -> Sequence[Span]:
    """All of them every time: their rows can be changed long after they were posted."""
    return cut_to_size(view.rows(_STRETCHES), CONTRACTS_A_RANGE)


def _runs(view: View, span: Span) -> Looked:
    def tell(run: int, symbol: str, told: str) -> Finding:
        return Finding(f"run {run}", f"{symbol}: {told}" if symbol else told)

    return view.look(_UNSETTLED, asdict(span), tell, rows=span.rows)


def register() -> None:
    """Tell the audit; once, at start-up."""
    register_check(
        Check(
            "settlement.runs",
            "Every run that went on has done its jobs, and settled each of its contracts from inputs that it kept",
            "Somebody moved the run on, or changed what it kept. `manage.py recompute_run` says what it should have"
            " found; nothing of it may be paid before.",
            _runs,
            _by_runs,
        )
    )
