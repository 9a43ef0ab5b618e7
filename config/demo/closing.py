"""After the day: indicative, initial, final and disputed-final runs by the worker, and what is paid in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from config.catalogue import CURRENCY
from config.demo.bots import Bots
from config.demo.clockwork import SETTLEMENT_TASK, Clockwork
from config.demo.disputing import decide, open_dispute
from config.demo.failure import DemoFailed
from config.demo.paying import pay_out
from config.demo.report import Payments
from config.demo.ruling import rule_open_cases
from config.demo.trading import OPERATOR
from exchange.models import Contract, ContractState
from exchange.windows import Window
from settlement.models import JobState, JobStep, RunContract, RunKind, RunState, SettlementJob, SettlementRun
from settlement.runs.create import create_run
from settlement.runs.jobs import MAX_ATTEMPTS

INDICATIVE_AFTER = timedelta(minutes=30)
INITIAL_AFTER = timedelta(hours=1)  # the last late event has come by then
FINAL_AFTER = timedelta(days=7)
LIFE_OVER = (ContractState.DELIVERED, ContractState.SETTLED)
STEPS = 5


class SettlementFailed(DemoFailed):
    """A job of the settlement run failed for good; the message has its error."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The day's runs, the dispute between two of them, and what was paid."""

    indicative: int
    initial: int
    final: int
    disputed_final: int
    dispute: int
    payments: Payments


class Closing:
    """Settles all windows of a day as one period; calls `advance` after each of its `STEPS`."""

    def __init__(self, windows: list[Window], clockwork: Clockwork, advance: Callable[[], object]) -> None:
        self._start, self._end = windows[0].start, windows[-1].end
        self._clockwork, self._advance = clockwork, advance

    def settle(self, out: Path, *, bots: Bots) -> Settled:
        """All runs. Leaves the payment files in `out`. Raises `SettlementFailed`."""
        self._clockwork.ring_until(_all_delivered, "all deliveries end")
        indicative = self._run(RunKind.INDICATIVE, INDICATIVE_AFTER)
        initial = self._run(RunKind.INITIAL, INITIAL_AFTER)
        dispute = open_dispute(initial, bots=bots)
        final = self._run(RunKind.FINAL, FINAL_AFTER)
        payments = pay_out(out, now=self._end + FINAL_AFTER)
        self._advance()
        decide(dispute, now=self._end + FINAL_AFTER)
        made = SettlementRun.objects.filter(dispute_id=dispute)
        self._ring_until(_published(made.values_list("id", flat=True)), "the disputed-final run is published")
        self._advance()
        return Settled(indicative, initial, final, made.get().pk, dispute, payments)

    def release(self, settled: Settled) -> None:
        """Let what the positions still hold be freed, now that nothing can be disputed any more."""
        rule_open_cases(now=self._end + FINAL_AFTER)
        self._ring_until(_released(settled.final), "bonds and overage holds are free")

    def _run(self, kind: RunKind, after: timedelta) -> int:
        now = self._end + after
        self._clockwork.go_to(now)
        run = create_run(CURRENCY, self._start, self._end, kind, actor=OPERATOR, now=now)
        published, what = _published([run.pk]), f"the {kind.value} run is published"
        self._clockwork.ring_until(published, what, bell=self._clockwork.ring_for_jobs)
        self._advance()
        return run.pk

    def _ring_until(self, done: Callable[[], bool], what: str) -> None:
        self._clockwork.ring_until(done, what, task=SETTLEMENT_TASK)


def _all_delivered() -> bool:
    return not Contract.objects.exclude(state__in=LIFE_OVER).exists()


def _published(run_ids: Iterable[int]) -> Callable[[], bool]:
    def published() -> bool:
        _refuse_failed()
        return SettlementRun.objects.filter(id__in=run_ids, state=RunState.PUBLISHED).exists()

    return published


def _released(run_id: int) -> Callable[[], bool]:
    shards = set(RunContract.objects.filter(run_id=run_id).values_list("shard", flat=True))
    done = SettlementJob.objects.filter(run_id=run_id, step=JobStep.RELEASE, state=JobState.DONE)

    def released() -> bool:
        _refuse_failed()
        return set(done.values_list("subject_id", flat=True)) == shards

    return released


def _refuse_failed() -> None:
    failed = SettlementJob.objects.filter(state=JobState.FAILED, attempt__gte=MAX_ATTEMPTS).first()
    if failed is not None:
        raise SettlementFailed(f"{failed.step} of {failed.subject_id}: {failed.error}")
