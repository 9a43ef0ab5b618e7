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

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from settlement.errors import LeaseLost
from settlement.models import JobState, JobStep, RunKind, SettlementJob

LEASE = timedelta(seconds=120)
MAX_ATTEMPTS = 5
MAX_ERROR_LENGTH = 2_000
# What a payer cannot pay becomes a debt, and who is paid hangs on who comes first: shards that may find one are done
# one after the other, so that statements never depend on which worker was faster.
_IN_ORDER = Q(step=JobStep.RELEASE) | Q(
    step=JobStep.SETTLE, run__kind__in=[RunKind.FINAL, RunKind.TRUE_UP, RunKind.DISPUTED_FINAL]
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's hold on a job."""

    job_id: int
    fencing: int
    lease: timedelta
    attempt: int = 1


def claim_job(job_id: int, *, owner: str, lease: timedelta = LEASE) -> Claim | None:
    """Take a job that is due, failed with attempts left, or whose worker let the lease run out; else None."""
    with transaction.atomic():
        job = (
            SettlementJob.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(_claimable(), id=job_id)
            .first()
        )
        if job is None:
            return None
        SettlementJob.objects.filter(id=job_id).update(
            state=JobState.RUNNING,
            attempt=F("attempt") + 1,
            fencing=F("fencing") + 1,
            lease_owner=owner[:80],
            lease_until=Now() + lease,
        )
        return Claim(job_id, job.fencing + 1, lease, job.attempt + 1)


@contextmanager
def holding(claim: Claim) -> Iterator[SettlementJob]:
    """A transaction that holds the job's row and renews the lease. Raises `LeaseLost` if the claim no longer counts."""
    with transaction.atomic(durable=True):
        job = (
            SettlementJob.objects.select_for_update(of=("self",))
            .select_related("run__currency", "run__product")
            .filter(id=claim.job_id, fencing=claim.fencing, state=JobState.RUNNING)
            .first()
        )
        if job is None:
            raise LeaseLost("Another worker has this job.", job=str(claim.job_id))
        SettlementJob.objects.filter(id=job.id).update(lease_until=Now() + claim.lease)
        yield job


def finish_job(job: SettlementJob, result_digest: bytes, *, input_digest: bytes | None = None) -> None:
    """Mark a held job done, in the transaction that wrote its result."""
    SettlementJob.objects.filter(id=job.id).update(
        state=JobState.DONE,
        input_digest=input_digest,
        result_digest=result_digest,
        lease_until=None,
        error="",
        finished_at=Now(),
    )


def next_shard(job: SettlementJob) -> list[int]:
    """The job of the shard that waited for a finished one, if there is such a job; else none."""
    later = SettlementJob.objects.filter(run_id=job.run_id, step=job.step, subject_id__gt=job.subject_id)
    return list(later.filter(_claimable()).order_by("subject_id").values_list("id", flat=True)[:1])


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
    return list(SettlementJob.objects.filter(_claimable()).order_by("id").values_list("id", flat=True)[:limit])


def give_up_dead_jobs() -> int:
    """Mark jobs failed whose every attempt ended with the worker's death; returns how many."""
    return SettlementJob.objects.filter(
        state=JobState.RUNNING, lease_until__lt=Now(), attempt__gte=MAX_ATTEMPTS
    ).update(state=JobState.FAILED, lease_until=None, error="Every attempt ended with the death of its worker.")


def _claimable() -> Q:
    waiting = Q(state__in=[JobState.DUE, JobState.FAILED]) | Q(state=JobState.RUNNING, lease_until__lt=Now())
    its_time = Q(not_before=None) | Q(not_before__lte=Now())
    return waiting & its_time & Q(attempt__lt=MAX_ATTEMPTS) & (~_IN_ORDER | Q(~Exists(_earlier_shards())))


def _earlier_shards() -> QuerySet[SettlementJob]:
    return SettlementJob.objects.filter(
        run_id=OuterRef("run_id"), step=OuterRef("step"), subject_id__lt=OuterRef("subject_id")
    ).exclude(state=JobState.DONE)
