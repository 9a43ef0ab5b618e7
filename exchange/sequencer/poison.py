"""Commands that could not be processed: why, for operators."""

from __future__ import annotations

import traceback

from exchange.models import SetAside
from exchange.sequencer.outcome import Outcome
from exchange.sequencer.writer import Batch

MAX_REASON = 2_000


def reason_of(error: Exception) -> str:
    """What an operator is told of an error: what it was, and where."""
    told = "".join(traceback.format_exception(error.__cause__ or error)).replace("\0", "")
    return told[-MAX_REASON:]


def write_set_aside(outcome: Outcome, batch: Batch) -> None:
    """A row for each command that a batch set aside."""
    if outcome.set_aside:
        SetAside.objects.bulk_create(
            SetAside(seq=seq, batch_no=batch.no, reason=reason, set_aside_at=batch.now)
            for seq, reason in outcome.set_aside.items()
        )
