"""Send a failed job again, once its cause is out of the way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ledger.actions import record_action
from ledger.errors import NotFound
from settlement.errors import JobNotFailed
from settlement.models import JobState, SettlementJob


@dataclass(frozen=True, slots=True)
class RetryJob:
    """An operator sends a job again, for a reason."""

    job_id: int
    reason: str


@transaction.atomic
def retry_job(command: RetryJob, *, actor: str, now: datetime) -> None:
    """Give a failed job all its attempts back. Raises `NotFound` and `JobNotFailed`."""
    job = SettlementJob.objects.select_for_update().filter(id=command.job_id).first()
    if job is None:
        raise NotFound(f"There is no settlement job {command.job_id}.", job=str(command.job_id))
    if job.state != JobState.FAILED:
        raise JobNotFailed(f"The job is {job.state}.", job=str(job.id), state=job.state)
    SettlementJob.objects.filter(id=job.id).update(state=JobState.DUE, attempt=0, not_before=None)
    record_action(actor=actor, action="retry_settlement_job", subject=f"job:{job.id}", reason=command.reason, now=now)
