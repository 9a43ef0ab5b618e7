"""The step that has a party's statement stamped with the time by an outside authority. Nothing waits for it."""

from __future__ import annotations

import hashlib
from datetime import datetime

from settlement.models import SettlementJob, Statement
from settlement.runs.jobs import Claim, finish_job, holding
from settlement.statements.timestamps import keep_token, request_token


def stamp_party(claim: Claim, *, now: datetime) -> list[int]:
    """Get the time token of the statement of a claimed job. Raises `TimeStampFailed`: the sweep tries again."""
    subject = SettlementJob.objects.values("run_id", "subject_id").get(pk=claim.job_id)
    statement = Statement.objects.get(run_id=subject["run_id"], party_id=subject["subject_id"])
    token = request_token(statement.jws.encode())
    with holding(claim) as job:
        keep_token(statement, token, now=now)
        finish_job(job, hashlib.sha256(token).digest())
    return []
