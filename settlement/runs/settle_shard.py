"""The step that settles a shard of contracts: find, write down, post, finish, all in one transaction.

The ledger head is taken last, once everything is calculated and written, so that trading waits for the posting alone.
A worker that dies leaves nothing behind, and whoever comes next finds the same. Events that arrive in between wait for
the next run: which ones are read was fixed when the run was made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import connection

from exchange.commands.mark_contract_settled import MarkContractSettled, mark_contract_settled
from exchange.models import ContractState
from ledger import journal
from ledger.chart import Role
from settlement.adjustments import CLAIM_REF, DEBT_REF
from settlement.disputes.frozen import FrozenDispute, dispute_lines
from settlement.disputes.settling import settle_dispute
from settlement.errors import ContractNotDelivered
from settlement.market import SETTLEABLE, SettledContract, load_contracts
from settlement.models import RunContract, RunKind, SettlementJob, SettlementRun
from settlement.postings import SOURCE
from settlement.runs.close import close_run
from settlement.runs.collect import covered
from settlement.runs.contract_lines import line_terms
from settlement.runs.copying import copy_lines
from settlement.runs.earlier import basis_of
from settlement.runs.escrow_check import check_emptied
from settlement.runs.finding import Found, find
from settlement.runs.freezing import Parties, load_all_parties, read_contracts, usage_limit
from settlement.runs.jobs import Claim, finish_job, holding, next_shard
from settlement.runs.make_up_rows import Credits
from settlement.runs.unheld import keep_unheld
from settlement.statements.party_lines import plain_line

ACTOR = "settlement"
_READY = {
    RunKind.INDICATIVE: SETTLEABLE | {ContractState.SETTLED},
    RunKind.INITIAL: SETTLEABLE,
}
_AFTERWARDS = frozenset({ContractState.SETTLED})


def settle_shard(claim: Claim, *, now: datetime) -> list[int]:
    """Settle the contracts of a claimed job; returns the jobs that became due by it.

    Raises `ContractNotDelivered`, `LedgerDisagrees` and `LeaseLost`; nothing stays of it then.
    """
    with holding(claim) as job:
        run = job.run
        placed = _contracts_of(job)
        _check_ready(run, placed)
        parties, credits = load_all_parties(), Credits(run)
        found = [
            find(run, read, place, credits, parties)
            for read, (_, place) in zip(
                read_contracts(
                    [contract for contract, _ in placed], through=usage_limit(run), as_of=basis_of(run).created_at
                ),
                placed,
                strict=True,
            )
        ]
        journal.lock_head()
        if run.kind != RunKind.INDICATIVE:
            _post(run, found, parties, now)
        finish_job(
            job,
            _digest(each.result_digest for each in found),
            input_digest=_digest(each.digest for each in found),
        )
        return next_shard(job) + close_run(run.pk, now=now)


def _contracts_of(job: SettlementJob) -> list[tuple[SettledContract, int]]:
    """The contracts of a shard with their places in the run, in order of delivery."""
    places = dict(
        RunContract.objects.filter(run_id=job.run_id, shard=job.subject_id).values_list("contract_id", "place")
    )
    contracts = load_contracts(places)
    return sorted(((contracts[each], place) for each, place in places.items()), key=lambda item: item[1])


def _check_ready(run: SettlementRun, placed: Sequence[tuple[SettledContract, int]]) -> None:
    ready = _READY.get(RunKind(run.kind), _AFTERWARDS)
    for contract, _ in placed:
        if contract.state not in ready:
            raise ContractNotDelivered(
                f"{contract.symbol} is {contract.state}.", contract=contract.symbol, state=contract.state
            )


def _post(run: SettlementRun, found: Sequence[Found], parties: Parties, now: datetime) -> None:
    """Under the ledger head."""
    if run.dispute_id is not None:
        settle_dispute(run.dispute_id, actor=ACTOR, now=now)
    drafts = [draft for each in found for draft in each.drafts]
    posted = drafts if run.kind == RunKind.INITIAL else covered(drafts)
    if posted:
        journal.post(posted, actor=ACTOR, now=now)
    for each in found:
        check_emptied(each.contract)
        if each.secured:
            keep_unheld(run, each.contract.id, each.secured, posted)
        if run.kind == RunKind.INITIAL:
            mark_contract_settled(MarkContractSettled(each.contract.id), actor=ACTOR, now=now)
        else:
            _copy_uncovered(run, each, parties)


def _copy_uncovered(run: SettlementRun, found: Found, parties: Parties) -> None:
    """Lines for what payers of a later run owe, and what its payees may claim: known once it is posted."""
    references = [draft.reference for draft in found.drafts]
    for dispute in map(FrozenDispute.from_json, found.frozen.disputes):
        references += [line.reference for line in dispute_lines(dispute)]
    if not references:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT account.party_id, posted.reference, entry.ref, entry.amount
              FROM ledger_transaction AS posted
              JOIN ledger_entry AS entry ON entry.transaction_id = posted.id
              JOIN ledger_account AS account ON account.id = entry.account_id
             WHERE posted.source = %s AND posted.reference = ANY(%s) AND entry.ref = ANY(%s)
               AND account.role = ANY(%s)
             ORDER BY posted.id, entry.leg
            """,
            [SOURCE, sorted(set(references)), [DEBT_REF, CLAIM_REF], [Role.CASH.value, Role.FEES.value]],
        )
        entries = cursor.fetchall()
    terms = line_terms(found.frozen, None)
    lines = [
        plain_line(
            terms,
            party=parties.codes[party_id],
            kind=ref,
            micros=micros,
            cumulative_micros=micros,
            reference=reference,
            ref=ref,
            place=place,
        )
        for place, (party_id, reference, ref, micros) in enumerate(entries, start=found.next_place)
    ]
    copy_lines(run.pk, found.contract.id, found.place, lines, parties.ids)


def _digest(digests: Iterable[bytes]) -> bytes:
    return hashlib.sha256(b"".join(digests)).digest()
