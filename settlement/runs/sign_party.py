"""The step that signs a party's statement, with the proof that what it says is in the log.

Proof and signature are taken before anything is locked but the job itself: the signer may be far away.
"""

from __future__ import annotations

from datetime import datetime

from settlement.models import StatedCore
from settlement.runs.close import publish_run
from settlement.runs.jobs import Claim, finish_job, holding
from settlement.statements.issuing import keep_statement, sign_statement


def sign_party(claim: Claim, *, now: datetime) -> list[int]:
    """Sign the statement of a claimed job; returns the jobs that became due by it."""
    stated = StatedCore.objects.get(run_id=claim.run_id, party_id=claim.subject_id)
    file = sign_statement(stated, now=now)
    with holding(claim) as job:
        keep_statement(stated, file, now=now)
        finish_job(job, bytes(stated.digest))
        return publish_run(job.run_id, now=now)
