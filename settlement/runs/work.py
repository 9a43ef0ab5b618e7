"""Doing a job: claim it, do its step, write down how it ended."""

from __future__ import annotations

import gc
import logging
from datetime import datetime, timedelta

from settlement.errors import LeaseLost
from settlement.models import JobStep
from settlement.runs.jobs import LEASE, claim_job, fail_job
from settlement.runs.release import release_shard
from settlement.runs.settle_shard import settle_shard
from settlement.runs.sign_party import sign_party
from settlement.runs.stamp_party import stamp_party
from settlement.runs.state_party import state_party

logger = logging.getLogger(__name__)
COLLECTION_THRESHOLDS = (10_000, 20, 50)  # Python's own are 700, 10, 10

_STEPS = {
    JobStep.SETTLE: settle_shard,
    JobStep.STATE: state_party,
    JobStep.SIGN: sign_party,
    JobStep.STAMP: stamp_party,
    JobStep.RELEASE: release_shard,
}


def collect_seldom() -> None:
    """For a process that does nothing but jobs, once it has loaded everything: collect garbage less often.

    What a job makes lives until it ends, and hardly anything of it is in a cycle. A collection every few hundred
    objects looks at the same ones over and over and frees none of them.
    """
    gc.freeze()
    gc.set_threshold(*COLLECTION_THRESHOLDS)


def run_job(job_id: int, *, owner: str, now: datetime, lease: timedelta = LEASE) -> list[int]:
    """Do a job unless it is done, or somebody else does it; returns the ids of jobs that became due by it.

    A failure is kept on the job and logged, not raised: the sweep tries again.
    """
    claim = claim_job(job_id, owner=owner, lease=lease)
    if claim is None:
        return []
    try:
        return _STEPS[claim.step](claim, now=now)
    except LeaseLost:
        logger.warning("job %d was taken over by another worker", job_id)
    except Exception as error:
        logger.exception("job %d failed in attempt %d", job_id, claim.attempt)
        fail_job(claim, error)
    return []
