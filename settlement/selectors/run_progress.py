"""How far runs are, step by step, and what went wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.db.models import Count, QuerySet

from settlement.models import JobState, JobStep, SettlementJob
from settlement.selectors.runs import list_jobs

STEP_WORDS: Mapping[str, str] = {
    JobStep.SETTLE: "Settle contracts",
    JobStep.STATE: "Write statements",
    JobStep.SIGN: "Sign statements",
    JobStep.STAMP: "Time tokens",
    JobStep.RELEASE: "Free what was held",
}


@dataclass(frozen=True, slots=True)
class StepProgress:
    """The jobs of one step of a run, counted."""

    step: str
    total: int
    done: int
    running: int
    failed: int

    @property
    def waiting(self) -> int:
        return self.total - self.done - self.running - self.failed

    @property
    def words(self) -> str:
        return STEP_WORDS[self.step]


def steps_of(run_ids: Collection[int]) -> dict[int, list[StepProgress]]:
    """The steps of some runs in the order in which they are taken; those that no job exists for are left out."""
    counted = SettlementJob.objects.filter(run_id__in=list(run_ids)).values_list("run_id", "step", "state")
    jobs: dict[tuple[int, str], dict[str, int]] = defaultdict(dict)
    for run_id, step, state, count in counted.annotate(Count("id")):
        jobs[run_id, step][state] = count
    return {
        run_id: [_progress(step, jobs[run_id, step]) for step in STEP_WORDS if (run_id, step) in jobs]
        for run_id in run_ids
    }


def failures_of(run_id: int) -> QuerySet[SettlementJob]:
    """The jobs of a run that failed, each with why: those that are out of attempts, and those that are tried again."""
    return list_jobs(run_id).exclude(state=JobState.DONE).exclude(error="")


def _progress(step: str, states: Mapping[str, int]) -> StepProgress:
    return StepProgress(
        step=str(step),
        total=sum(states.values()),
        done=states.get(JobState.DONE, 0),
        running=states.get(JobState.RUNNING, 0),
        failed=states.get(JobState.FAILED, 0),
    )
