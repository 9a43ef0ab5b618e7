"""The step that has a party's statement stamped with the time by an outside authority. Nothing waits for it."""

from __future__ import annotations

import hashlib
from datetime import datetime

from settlement.models import Statement
from settlement.runs.jobs import Claim, finish_job, holding
from settlement.statements.timestamps import keep_token, request_token


def stamp_party(claim: Claim, *, now: datetime) -> list[int]:
    """Get the time token of the statement of a claimed job. Raises `TimeStampFailed`: the sweep tries again."""
    statement = Statement.objects.get(run_id=claim.run_id, party_id=claim.subject_id)
    token = request_token(statement.jws.encode())
    with holding(claim) as job:
        keep_token(statement, token, now=now)
        finish_job(job, hashlib.sha256(token).digest())
    return []
