"""Moves the simulated clock, and rings for what beat would ring for when time passes."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

from config.celery import app
from config.clock import SimulatedClock
from config.run import RunFailed
from settlement.runs.jobs import due_jobs

LIFE_TASK, SETTLEMENT_TASK, JOB_TASK = "exchange.sweep_contract_life", "settlement.sweep", "settlement.run_job"
LOOK_SECONDS = 0.05
RING_AGAIN_SECONDS = 5.0  # a doorbell may be lost
PATIENCE_SECONDS = 240.0
RUNG_AT_ONCE = 200


class Clockwork:
    """The day's time. `check` is called while waiting, and raises when a process has died."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._clock, self._check = SimulatedClock(), check

    def go_to(self, moment: datetime) -> None:
        """Let time pass until then, for all processes."""
        self._clock.set(moment)

    def ring(self, task: str = LIFE_TASK) -> None:
        """Send a sweep to the worker, and go on."""
        app.send_task(task)

    def ring_for_jobs(self) -> None:
        """Send the settlement jobs that are due to the worker, without a sweep, which would make runs of its own."""
        for job_id in due_jobs(RUNG_AT_ONCE):
            app.send_task(JOB_TASK, args=[job_id])

    def ring_until(
        self,
        done: Callable[[], bool],
        what: str,
        *,
        task: str = LIFE_TASK,
        bell: Callable[[], object] | None = None,
    ) -> None:
        """Ring for a sweep, or by another bell, until its effect is there. Raises `RunFailed` when it does not come."""
        start = time.monotonic()
        rung = float("-inf")
        while not done():
            self._check()
            now = time.monotonic()
            if now - start > PATIENCE_SECONDS:
                raise RunFailed(f"waited {PATIENCE_SECONDS:g} s in vain for this: {what}")
            if now - rung > RING_AGAIN_SECONDS:
                (bell or partial(self.ring, task))()
                rung = now
            time.sleep(LOOK_SECONDS)
