"""The exchange at work, for operators and auditors: how far the sequencer is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from exchange.models import Intake, SequencerState


@dataclass(frozen=True, slots=True)
class SequencerView:
    """Where the sequencer stands; `waiting` commands are taken in and not decided."""

    epoch: int
    cursor: int
    last_batch: int
    last_fill: int
    waiting: int
    oldest_waiting_at: datetime | None


def get_sequencer() -> SequencerView:
    state = SequencerState.objects.get(shard=1)
    waiting = Intake.objects.filter(seq__gt=state.cursor).order_by("seq")
    return SequencerView(
        epoch=state.epoch,
        cursor=state.cursor,
        last_batch=state.last_batch,
        last_fill=state.last_fill,
        waiting=waiting.count(),
        oldest_waiting_at=waiting.values_list("received_at", flat=True).first(),
    )
