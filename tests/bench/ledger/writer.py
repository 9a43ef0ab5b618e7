"""A long-lived writer of the ledger and the publisher of its log, with a stopwatch."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence

from django.db import transaction

from ledger import journal
from ledger.accounts import AccountMemory
from ledger.drafts import TransactionDraft
from ledger.keys.ring import ensure_current_key
from ledger.log.checkpoints import publish_checkpoint
from tests.bench.ledger.books import ACTOR, NOW


class Writer:
    """Posts batches through the one door as the sequencer does: with an account memory, and no collector in between."""

    def __init__(self) -> None:
        self._memory = AccountMemory()

    def seconds(self, drafts: Sequence[TransactionDraft]) -> float:
        """Post the drafts as one batch; gives the seconds up to and including COMMIT."""
        gc.disable()
        try:
            started = time.perf_counter()
            with transaction.atomic():
                journal.post(drafts, actor=ACTOR, now=NOW, memory=self._memory)
            return time.perf_counter() - started
        finally:
            gc.enable()


class Publisher:
    """Signs a checkpoint whenever so many seconds of writing have passed."""

    def __init__(self, cadence_seconds: float) -> None:
        ensure_current_key(actor=ACTOR, now=NOW)
        self._cadence, self._waited = cadence_seconds, 0.0

    def seconds(self, passed: float) -> float:
        """Tell that so many seconds of writing have passed; gives the seconds that publishing took, if it was due."""
        self._waited += passed
        if self._waited < self._cadence:
            return 0.0
        self._waited = 0.0
        started = time.perf_counter()
        publish_checkpoint(now=NOW)
        return time.perf_counter() - started
