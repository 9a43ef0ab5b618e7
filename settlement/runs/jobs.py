"""Jobs as rows: who may do one, for how long, and how it ends.

A job is claimed under a lease and a fencing number. Whoever holds it locks its row before each write and finds the
number still its own; a worker that was thought dead comes too late then and writes nothing. Leases run on the
database's clock, not on business time: a simulated clock may stand still while a worker dies.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction
from django.db.models.functions import Now

from settlement.errors import LeaseLost
from settlement.models import JobState, JobStep, RunKind, SettlementJob

LEASE = timedelta(seconds=120)
MAX_ATTEMPTS = 5
MAX_ERROR_LENGTH = 2_000
# What a payer cannot pay becomes a debt, and who is paid hangs on who comes first: shards that may find one are done
# one after the other, so that statements never depend on which worker was faster.
_IN_ORDER = f"""
(job.step = '{JobStep.RELEASE}' OR job.step = '{JobStep.SETTLE}' AND EXISTS (
    SELECT FROM settlement_settlementrun AS run
     WHERE run.id = job.run_id
       AND run.kind IN ('{RunKind.FINAL}', '{RunKind.TRUE_UP}', '{RunKind.DISPUTED_FINAL}')))
"""
_CLAIMABLE = f"""
(job.state IN ('{JobState.DUE}', '{JobState.FAILED}')
 OR job.state = '{JobState.RUNNING}' AND job.lease_until < statement_timestamp())
AND (job.not_before IS NULL OR job.not_before <= statement_timestamp())
AND job.attempt < {MAX_ATTEMPTS}
AND NOT ({_IN_ORDER} AND EXISTS (
    SELECT FROM settlement_settlementjob AS earlier
     WHERE earlier.run_id = job.run_id AND earlier.step = job.step AND earlier.subject_id < job.subject_id
       AND earlier.state <> '{JobState.DONE}'))
"""
_CLAIM = f"""
UPDATE settlement_settlementjob
   SET state = '{JobState.RUNNING}', attempt = attempt + 1, fencing = fencing + 1, lease_owner = %(owner)s,
       lease_until = statement_timestamp() + make_interval(secs => %(lease)s)
 WHERE id = (SELECT job.id FROM settlement_settlementjob AS job
              WHERE job.id = %(job)s AND {_CLAIMABLE} FOR UPDATE SKIP LOCKED)
RETURNING fencing, attempt, step, run_id, subject_id
"""  # noqa: S608  # words of our own
_HOLD = f"""
UPDATE settlement_settlementjob SET lease_until = statement_timestamp() + make_interval(secs => %(lease)s)
 WHERE id = %(job)s AND fencing = %(fencing)s AND state = '{JobState.RUNNING}' RETURNING *
"""  # noqa: S608  # words of our own
_FINISH = f"""
UPDATE settlement_settlementjob
   SET state = '{JobState.DONE}', input_digest = %(input)s, result_digest = %(result)s, lease_until = NULL, error = '',
       finished_at = statement_timestamp()
 WHERE id = %(job)s
"""  # noqa: S608  # words of our own
_DUE = f"""
SELECT job.id FROM settlement_settlementjob AS job WHERE {_CLAIMABLE} ORDER BY job.id LIMIT %(limit)s
"""  # noqa: S608  # words of our own
_NEXT_SHARD = f"""
SELECT job.id FROM settlement_settlementjob AS job
 WHERE job.run_id = %(run)s AND job.step = %(step)s AND job.subject_id > %(subject)s AND {_CLAIMABLE}
 ORDER BY job.subject_id LIMIT 1
"""  # noqa: S608  # words of our own


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's hold on a job."""

    job_id: int
    fencing: int
    lease: timedelta
    attempt: int
    step: JobStep
    run_id: int
    subject_id: int


def claim_job(job_id: int, *, owner: str, lease: timedelta = LEASE) -> Claim | None:
    """Take a job that is due, failed with attempts left, or whose worker let the lease run out; else None."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"job": job_id, "owner": owner[:80], "lease": lease.total_seconds()})
        claimed = cursor.fetchone()
    if claimed is None:
        return None
    fencing, attempt, step, run_id, subject_id = claimed
    return Claim(job_id, fencing, lease, attempt, JobStep(step), run_id, subject_id)


@contextmanager
def holding(claim: Claim) -> Iterator[SettlementJob]:
    """A transaction that holds the job's row and renews the lease. Raises `LeaseLost` if the claim no longer counts."""
    with transaction.atomic(durable=True):
        named = {"job": claim.job_id, "fencing": claim.fencing, "lease": claim.lease.total_seconds()}
        held = list(SettlementJob.objects.raw(_HOLD, named))
        if not held:
            raise LeaseLost("Another worker has this job.", job=str(claim.job_id))
        yield held[0]


def finish_job(job: SettlementJob, result_digest: bytes, *, input_digest: bytes | None = None) -> None:
    """Mark a held job done, in the transaction that wrote its result."""
    with connection.cursor() as cursor:
        cursor.execute(_FINISH, {"job": job.id, "input": input_digest, "result": result_digest})


def next_shard(job: SettlementJob) -> list[int]:
    """The job of the shard that waited for a finished one, if there is such a job; else none."""
    with connection.cursor() as cursor:
        cursor.execute(_NEXT_SHARD, {"run": job.run_id, "step": job.step, "subject": job.subject_id})
        return [job_id for (job_id,) in cursor]


def fail_job(claim: Claim, error: Exception) -> None:
    """Write down why an attempt failed. The sweep tries again, later each time, until the attempts are used up."""
    held = SettlementJob.objects.filter(id=claim.job_id, fencing=claim.fencing, state=JobState.RUNNING)
    held.update(
        state=JobState.FAILED,
        lease_until=None,
        not_before=Now() + timedelta(seconds=2**claim.attempt),
        error=f"{type(error).__name__}: {error}".replace("\0", "")[:MAX_ERROR_LENGTH],
    )


def due_jobs(limit: int) -> list[int]:
    """Ids of jobs that somebody should do now, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE, {"limit": limit})
        return [job_id for (job_id,) in cursor]


def give_up_dead_jobs() -> int:
    """Mark jobs failed whose every attempt ended with the worker's death; returns how many."""
    return SettlementJob.objects.filter(
        state=JobState.RUNNING, lease_until__lt=Now(), attempt__gte=MAX_ATTEMPTS
    ).update(state=JobState.FAILED, lease_until=None, error="Every attempt ended with the death of its worker.")
