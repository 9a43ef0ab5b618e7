"""The step that settles a contract: find, post, finish.

First everything is read, calculated and written down in one transaction, then posted from what was written down, at
most `POSTED_AT_ONCE` ledger transactions at a time so that trading never waits long for the ledger head. A worker may
die anywhere: the next one finds the figures where they are, posts the same again under the same references, which
writes nothing twice, and goes on. Events that arrive in between wait for the final run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from exchange.commands.mark_contract_settled import MarkContractSettled, mark_contract_settled
from exchange.models import ContractState
from ledger import journal
from ledger.drafts import TransactionDraft
from settlement.errors import ContractNotDelivered
from settlement.market import SETTLEABLE, SettledContract, load_contracts
from settlement.models import RunKind, SettlementJob
from settlement.outcome_record import outcome_record
from settlement.postings import draft_position
from settlement.runs.close import close_run
from settlement.runs.collect import clear_debts, post_adjustments
from settlement.runs.escrow_check import check_before, check_emptied
from settlement.runs.inputs import find
from settlement.runs.jobs import Claim, finish_job, holding
from settlement.runs.position_rows import SettledPosition, keep_findings, load_contract_positions
from settlement.statements.canonical import canonical_digest

ACTOR = "settlement"
POSTED_AT_ONCE = 500
_READY = {RunKind.INITIAL: SETTLEABLE, RunKind.FINAL: {ContractState.SETTLED}}


def settle_contract(claim: Claim, *, now: datetime) -> list[int]:
    """Settle the contract of a claimed job; returns the jobs that became due by it.

    Raises `ContractNotDelivered`, `LedgerDisagrees` and `LeaseLost`; what was posted before stays, and stays once.
    """
    with holding(claim) as job:
        contract = load_contracts([job.subject_id])[job.subject_id]
        if job.input_digest is None:
            _find(job, contract)
    positions = load_contract_positions(job.run, contract.id)
    if job.run.kind == RunKind.INITIAL:
        for drafts in _chunks(positions, job.run.key):
            with holding(claim):
                journal.post(drafts, actor=ACTOR, now=now)
    else:
        for start in range(0, len(positions), POSTED_AT_ONCE):
            with holding(claim):
                post_adjustments(positions[start : start + POSTED_AT_ONCE], run_key=job.run.key, actor=ACTOR, now=now)
    return _finish(claim, contract, positions, now)


def _find(job: SettlementJob, contract: SettledContract) -> None:
    if contract.state not in _READY[RunKind(job.run.kind)]:
        raise ContractNotDelivered(
            f"{contract.symbol} is {contract.state}.", contract=contract.symbol, state=contract.state
        )
    findings = find(contract)
    if job.run.kind == RunKind.INITIAL:
        check_before(contract, [finding.position for finding in findings.positions])
    keep_findings(job.run, contract, findings)
    SettlementJob.objects.filter(id=job.id).update(input_digest=findings.input_digest)


def _chunks(positions: Sequence[SettledPosition], run_key: str) -> Iterator[list[TransactionDraft]]:
    """The drafts of the positions, whole positions together, in chunks of about `POSTED_AT_ONCE`."""
    chunk: list[TransactionDraft] = []
    for position in positions:
        drafts = draft_position(
            position.outcome, position.accounts, run_key=run_key, effective_at=position.contract.delivery_end
        )
        if chunk and len(chunk) + len(drafts) > POSTED_AT_ONCE:
            yield chunk
            chunk = []
        chunk += drafts
    if chunk:
        yield chunk


def _finish(claim: Claim, contract: SettledContract, positions: Sequence[SettledPosition], now: datetime) -> list[int]:
    with holding(claim) as job:
        journal.lock_head()
        check_emptied(contract)
        clear_debts(contract, run_key=job.run.key, actor=ACTOR, now=now)
        if job.run.kind == RunKind.INITIAL:
            mark_contract_settled(MarkContractSettled(contract.id), actor=ACTOR, now=now)
        finish_job(job, canonical_digest([outcome_record(position.outcome) for position in positions]))
        return close_run(job.run_id, now=now)
