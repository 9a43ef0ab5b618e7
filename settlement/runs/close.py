"""From settled to stated to signed to published: each step one conditional update by whoever finishes last.

Runs of one currency are stated one after the other, in the order they close, so that every statement opens where the
party's last one closed. Signing holds up nobody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection

from ledger import journal
from ledger.chart import Role
from ledger.models import Account, Party
from ledger.selectors.parties import get_house_id
from settlement.models import (
    ClosingBalance,
    FrozenInput,
    JobState,
    JobStep,
    RunKind,
    RunState,
    SettlementJob,
    SettlementRun,
)
from settlement.runs.collect import clear_debts
from settlement.statements.records import line_seed

ACTOR = "settlement"
_ALL_DONE = """
UPDATE settlement_settlementrun AS run SET state = %(next)s, published_at = %(published)s
 WHERE run.id = %(run)s AND run.state = %(now)s
   AND NOT EXISTS (SELECT FROM settlement_settlementjob AS job
                    WHERE job.run_id = run.id AND job.step = %(step)s AND job.state <> %(done)s)
   AND (NOT %(alone)s OR NOT EXISTS (SELECT FROM settlement_settlementrun AS other
                                      WHERE other.currency_id = run.currency_id AND other.state = %(next)s))
"""
_CONCERNED = """
SELECT buyer_id FROM settlement_positionsettlement WHERE run_id = %(run)s
 UNION SELECT provider_id FROM settlement_positionsettlement WHERE run_id = %(run)s
 UNION SELECT buyer_id FROM settlement_unmatchedusage WHERE run_id = %(run)s
 UNION SELECT provider_id FROM settlement_unmatchedusage WHERE run_id = %(run)s
 UNION SELECT party_id FROM settlement_settlementline WHERE run_id = %(run)s
"""


def close_run(run_id: int, *, now: datetime) -> list[int]:
    """Once all shards of a run are settled: take every party's closing balance and make the job that states it.

    Inside the caller's transaction. Returns the new jobs, none if the run is not ready, closed already, or waits for
    another run to be stated.
    """
    journal.lock_head()  # closing balances are of one instant, and two last finishers come one after the other
    if not _move(run_id, RunState.OPEN, RunState.STATING, JobStep.SETTLE, alone=True):
        return []
    run = SettlementRun.objects.select_related("currency", "product").get(id=run_id)
    if run.kind != RunKind.INDICATIVE:
        clear_debts(run, run.key, actor=ACTOR, now=now)
    SettlementRun.objects.filter(id=run_id).update(input_digest=_input_digest(run))
    closings = ClosingBalance.objects.bulk_create(_closings(run))
    jobs = _make_jobs(run_id, JobStep.STATE, [closing.party_id for closing in closings])
    return jobs or all_stated(run_id, now=now)


def all_stated(run_id: int, *, now: datetime) -> list[int]:
    """Once all parties' statements are written: have them signed, and close the runs of the currency that waited.

    Inside the caller's transaction. Returns the jobs that became due.
    """
    journal.lock_head()
    if not _move(run_id, RunState.STATING, RunState.SIGNING, JobStep.STATE):
        return []
    stated = SettlementJob.objects.filter(run_id=run_id, step=JobStep.STATE).order_by("subject_id")
    jobs = _make_jobs(run_id, JobStep.SIGN, stated.values_list("subject_id", flat=True))
    run = SettlementRun.objects.get(id=run_id)
    waiting = SettlementRun.objects.filter(currency_id=run.currency_id, state=RunState.OPEN).order_by("id")
    jobs += [job_id for other in waiting for job_id in close_run(other.pk, now=now)]
    return jobs if stated.exists() else jobs + publish_run(run_id, now=now)


def publish_run(run_id: int, *, now: datetime) -> list[int]:
    """Once all statements of a run are signed: publish it, and have time tokens put over them if there is an authority.

    Inside the caller's transaction. Returns the jobs that became due.
    """
    journal.lock_head()
    if not _move(run_id, RunState.SIGNING, RunState.PUBLISHED, JobStep.SIGN, published_at=now):
        return []
    if not settings.TIME_STAMP_URL:
        return []
    signed = SettlementJob.objects.filter(run_id=run_id, step=JobStep.SIGN).order_by("subject_id")
    return _make_jobs(run_id, JobStep.STAMP, signed.values_list("subject_id", flat=True))


def _move(
    run_id: int,
    before: RunState,
    after: RunState,
    step: JobStep,
    *,
    alone: bool = False,
    published_at: datetime | None = None,
) -> bool:
    """Whether a run went on now that all jobs of a step are done; `alone`: not while another one is there."""
    names: dict[str, Any] = {
        "run": run_id,
        "now": before,
        "next": after,
        "step": step,
        "done": JobState.DONE,
        "alone": alone,
        "published": published_at,
    }
    with connection.cursor() as cursor:
        cursor.execute(_ALL_DONE, names)
        return bool(cursor.rowcount)


def _make_jobs(run_id: int, step: JobStep, subjects: Collection[int]) -> list[int]:
    jobs = SettlementJob.objects.bulk_create(
        SettlementJob(run_id=run_id, step=step, subject_id=subject) for subject in subjects
    )
    return [job.pk for job in jobs]


def _input_digest(run: SettlementRun) -> bytes:
    """Over the digests of what each contract was settled from, in no order but their own."""
    digests = FrozenInput.objects.filter(run=run).values_list("digest", flat=True)
    return hashlib.sha256(b"".join(sorted(bytes(digest) for digest in digests))).digest()


def _closings(run: SettlementRun) -> list[ClosingBalance]:
    """How the accounts stand of all who had a position or a line, or any movement since their last statement.

    An indicative run, which moves nothing, is told to the former alone.
    """
    house_id = get_house_id()
    accounts = Account.objects.filter(asset_id=run.currency_id, role=Role.CASH).exclude(party_id=house_id)
    fees = Account.objects.filter(asset_id=run.currency_id, role=Role.FEES, party_id=house_id)
    stated = _last_stated(run.currency_id)
    with connection.cursor() as cursor:
        cursor.execute(_CONCERNED, {"run": run.pk})
        concerned = {party_id for (party_id,) in cursor}
    codes = dict(Party.objects.values_list("id", "code"))
    indicative = run.kind == RunKind.INDICATIVE
    return [
        ClosingBalance(
            run=run,
            party_id=account.party_id,
            account_id=account.id,
            balance=account.balance,
            held=account.held,
            seq=account.seq,
            line_seed=line_seed(
                settings.KEY_ENCRYPTION_SECRET, f"{codes[account.party_id]}/{run.currency.code}/{run.key}"
            ),
        )
        for account in accounts.union(fees).order_by("party_id")
        if account.party_id in concerned or (not indicative and account.seq > stated.get(account.party_id, 0))
    ]


def _last_stated(currency_id: int) -> dict[int, int]:
    """The account sequence up to which each party has a statement in its chain."""
    closings = ClosingBalance.objects.filter(run__currency_id=currency_id).exclude(run__kind=RunKind.INDICATIVE)
    return dict(closings.order_by("party_id", "id").values_list("party_id", "seq"))  # the last one wins
