"""The step that states what a party's statement of a run says, and posts its digest: one transaction."""

from __future__ import annotations

from datetime import datetime

from settlement.models import ClosingBalance
from settlement.runs.close import all_stated
from settlement.runs.jobs import Claim, finish_job, holding
from settlement.statements.stating import state_statement


def state_party(claim: Claim, *, now: datetime) -> list[int]:
    """State what the statement of a claimed job says; returns the jobs that became due by it."""
    with holding(claim) as job:
        closings = ClosingBalance.objects.select_related("run__currency", "run__product", "party")
        stated = state_statement(closings.get(run_id=claim.run_id, party_id=claim.subject_id), now=now)
        finish_job(job, bytes(stated.digest))
        return all_stated(claim.run_id, now=now)
