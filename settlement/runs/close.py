"""From settled to stated to published: each step one conditional update by whoever finishes last.

Runs of one currency are stated one after the other, in the order they close, so that every statement opens where the
party's last one closed.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from django.db import connection

from ledger import journal
from ledger.chart import Role
from ledger.models import Account
from ledger.selectors.parties import get_house_id
from settlement.models import (
    ClosingBalance,
    JobState,
    JobStep,
    PositionSettlement,
    RunState,
    SettlementJob,
    SettlementRun,
    Statement,
    UnmatchedUsage,
)


def close_run(run_id: int, *, now: datetime) -> list[int]:
    """Once all contracts of a run are settled: take every party's closing balance and make its statement's job.

    Inside the caller's transaction. Returns the new jobs, none if the run is not ready, closed already, or waits for
    the statements of another run.
    """
    journal.lock_head()  # closing balances are of one instant, and two last finishers come one after the other
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE settlement_settlementrun run SET state = %(stating)s
             WHERE run.id = %(run)s AND run.state = %(open)s
               AND NOT EXISTS (SELECT FROM settlement_settlementjob job
                                WHERE job.run_id = run.id AND job.step = %(settle)s AND job.state <> %(done)s)
               AND NOT EXISTS (SELECT FROM settlement_settlementrun other
                                WHERE other.currency_id = run.currency_id AND other.state = %(stating)s)
            """,
            {
                "run": run_id,
                "open": RunState.OPEN,
                "stating": RunState.STATING,
                "settle": JobStep.SETTLE,
                "done": JobState.DONE,
            },
        )
        if cursor.rowcount == 0:
            return []
    run = SettlementRun.objects.select_related("currency").get(id=run_id)
    SettlementRun.objects.filter(id=run_id).update(input_digest=_input_digest(run))
    closings = ClosingBalance.objects.bulk_create(_closings(run))
    jobs = SettlementJob.objects.bulk_create(
        SettlementJob(run=run, step=JobStep.STATE, subject_id=closing.party_id) for closing in closings
    )
    if not jobs:
        return publish_run(run_id, now=now)
    return [job.id for job in jobs]


def publish_run(run_id: int, *, now: datetime) -> list[int]:
    """Once all statements of a run are made: publish it, and close the runs of its currency that waited for it.

    Inside the caller's transaction. Returns the jobs that became due.
    """
    journal.lock_head()
    published = (
        SettlementRun.objects.filter(id=run_id, state=RunState.STATING)
        .exclude(id__in=SettlementJob.objects.exclude(state=JobState.DONE).filter(run_id=run_id).values("run_id"))
        .update(state=RunState.PUBLISHED, published_at=now)
    )
    if not published:
        return []
    run = SettlementRun.objects.get(id=run_id)
    waiting = SettlementRun.objects.filter(currency_id=run.currency_id, state=RunState.OPEN).order_by("id")
    return [job_id for other in waiting for job_id in close_run(other.id, now=now)]


def _input_digest(run: SettlementRun) -> bytes:
    """Over the digests of what each contract was settled from, in no order but their own."""
    digests = SettlementJob.objects.filter(run=run, step=JobStep.SETTLE).values_list("input_digest", flat=True)
    return hashlib.sha256(b"".join(sorted(bytes(digest or b"") for digest in digests))).digest()


def _closings(run: SettlementRun) -> list[ClosingBalance]:
    """How the accounts stand of all who had a position, a share or any movement since their last statement."""
    house_id = get_house_id()
    accounts = Account.objects.filter(asset_id=run.currency_id, role=Role.CASH).exclude(party_id=house_id)
    fees = Account.objects.filter(asset_id=run.currency_id, role=Role.FEES, party_id=house_id)
    stated = _last_stated(run.currency_id)
    concerned = _concerned(run)
    return [
        ClosingBalance(
            run=run,
            party_id=account.party_id,
            account_id=account.id,
            balance=account.balance,
            held=account.held,
            seq=account.seq,
        )
        for account in accounts.union(fees).order_by("party_id")
        if account.party_id in concerned or account.seq > stated.get(account.party_id, 0)
    ]


def _last_stated(currency_id: int) -> dict[int, int]:
    """The account sequence up to which each party has a statement."""
    closings = ClosingBalance.objects.filter(run__currency_id=currency_id)
    return dict(closings.order_by("party_id", "id").values_list("party_id", "seq"))  # the last one wins


def _concerned(run: SettlementRun) -> set[int]:
    """Buyers and providers of the run. Who has a share has a movement too."""
    pairs = {
        *PositionSettlement.objects.filter(run=run).values_list("buyer_id", "provider_id"),
        *UnmatchedUsage.objects.filter(run=run).values_list("buyer_id", "provider_id"),
    }
    return {party_id for pair in pairs for party_id in pair}


def previous_statement(run: SettlementRun, party_id: int) -> tuple[Statement, ClosingBalance] | None:
    """A party's statement before this run's, and the closing balance it states."""
    statement = Statement.objects.filter(party_id=party_id, currency_id=run.currency_id).order_by("-sequence").first()
    if statement is None:
        return None
    return statement, ClosingBalance.objects.get(run_id=statement.run_id, party_id=party_id)
