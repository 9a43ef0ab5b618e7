"""The step that frees what the positions of a shard still hold back, once nothing can change any more."""

from __future__ import annotations

import hashlib
from datetime import datetime

from ledger import journal
from settlement.market import SettledContract, load_contracts, load_parties
from settlement.models import JobStep, PositionSettlement, RunContract, RunState, SettlementJob, SettlementRun
from settlement.outcome import PositionOutcome
from settlement.outcome_record import outcome_from_record
from settlement.postings import PositionAccounts, chunk_reference, chunks, draft_release
from settlement.runs.calendars import calendar_of
from settlement.runs.collect import clear_debts
from settlement.runs.earlier import POSTED, last_posted_run
from settlement.runs.jobs import Claim, finish_job, holding, next_shard
from settlement.runs.unheld import unheld_of
from settlement.selectors.cases import has_open_case
from settlement.selectors.disputes import has_open_dispute

ACTOR = "settlement"


def release_shard(claim: Claim, *, now: datetime) -> list[int]:
    """Free bonds and overage holds of a claimed job's contracts, and let debtors pay out of what became free."""
    with holding(claim) as job:
        run, drafts = job.run, []
        covered = RunContract.objects.filter(run_id=run.pk, shard=job.subject_id).order_by("place")
        contracts = load_contracts(covered.values_list("contract_id", flat=True))
        for contract_id in covered.values_list("contract_id", flat=True):
            contract = contracts[contract_id]
            for number, chunk in chunks(_held(contract)):
                draft = draft_release(
                    chunk,
                    reference=f"{chunk_reference(run.key, contract.symbol, number)}/release",
                    effective_at=contract.delivery_end,
                )
                drafts += [] if draft is None else [draft]
        journal.lock_head()
        if drafts:
            journal.post(drafts, actor=ACTOR, now=now)
        clear_debts(run, f"{run.key}/{job.subject_id}/release", actor=ACTOR, now=now)
        finish_job(job, hashlib.sha256(b"".join(draft.request_hash() for draft in drafts)).digest())
        return next_shard(job)


def _held(contract: SettledContract) -> list[tuple[PositionOutcome, PositionAccounts, int, int]]:
    """What the last run found for each position, with its bond and overage hold less what is missing of them."""
    rows = PositionSettlement.objects.filter(run_id=last_posted_run(contract.id), contract_id=contract.id)
    parties = load_parties({party for row in rows for party in (row.buyer_id, row.provider_id)})
    unheld, held = unheld_of(contract.id), []
    for row in sorted(rows, key=lambda row: (parties[row.buyer_id].code, parties[row.provider_id].code)):
        pair = (row.buyer_id, row.provider_id)
        accounts = contract.accounts(parties[row.buyer_id], parties[row.provider_id])
        bond = int(row.evidence["bond_micros"]) - unheld.get((*pair, accounts.bond_hold_ref), 0)
        overage = int(row.evidence["overage_hold_micros"]) - unheld.get((*pair, accounts.overage_hold_ref), 0)
        held.append((outcome_from_record(row.outcome), accounts, bond, overage))
    return held


def make_release_jobs(now: datetime) -> list[int]:
    """Jobs for the shards of runs that were the last ones and can no longer be disputed, with no dispute or case open.

    A case stays open until the meters agree or two operators rule, for the least if need be: no time decides it.
    """
    made: list[int] = []
    disputable = SettlementRun.objects.filter(state=RunState.PUBLISHED, dispute_until__lte=now)
    for run in disputable.select_related("calendar").order_by("id"):
        if run.kind != calendar_of(run.calendar).last_kind:
            continue
        released = SettlementJob.objects.filter(run=run, step=JobStep.RELEASE).values_list("subject_id", flat=True)
        covered = RunContract.objects.filter(run=run).exclude(shard__in=released).order_by("place")
        shards: dict[int, list[int]] = {}
        for contract_id, shard in covered.values_list("contract_id", "shard"):
            shards.setdefault(shard, []).append(contract_id)
        ready = [shard for shard, contract_ids in shards.items() if all(map(_is_over, contract_ids))]
        jobs = SettlementJob.objects.bulk_create(
            [SettlementJob(run=run, step=JobStep.RELEASE, subject_id=shard) for shard in ready], ignore_conflicts=True
        )
        made += [job.subject_id for job in jobs]
    return made


def _is_over(contract_id: int) -> bool:
    """Whether no run of a contract is under way or asked for by a dispute, and no discrepancy waits for a ruling."""
    under_way = RunContract.objects.filter(contract_id=contract_id, run__kind__in=POSTED).exclude(
        run__state=RunState.PUBLISHED
    )
    return not under_way.exists() and not has_open_dispute(contract_id) and not has_open_case(contract_id)
