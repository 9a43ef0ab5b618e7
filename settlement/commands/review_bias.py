"""An operator gives a pair its tolerance back, after looking at why its figures leaned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ledger.actions import record_action
from ledger.errors import ReasonMissing
from ledger.texts import check_text
from settlement.errors import ToleranceNotZeroed
from settlement.metering.bias_register import RegisterKey, latest_decision, lock_decisions
from settlement.models import BiasDecision, BiasStep

MAX_NOTE = 500


@dataclass(frozen=True, slots=True)
class ReviewBias:
    """Whose tolerance, and what the review came to."""

    provider_id: int
    buyer_id: int
    product_id: int
    note: str


@transaction.atomic
def review_bias(command: ReviewBias, *, actor: str, now: datetime) -> BiasDecision:
    """Restore the tolerance for windows that start from now on; the register counts anew from there.

    Raises `ReasonMissing`, `InvalidText` and `ToleranceNotZeroed`.
    """
    note = command.note.strip()
    if not note:
        raise ReasonMissing("A review says what it came to.", field="note")
    check_text(note, "note", MAX_NOTE)
    lock_decisions()
    key = RegisterKey(command.provider_id, command.buyer_id, command.product_id)
    decided = latest_decision(key)
    if decided is None or decided.step != BiasStep.ZEROED:
        raise ToleranceNotZeroed("The tolerance of this pair is not zero.")
    restored = BiasDecision.objects.create(
        **key._asdict(), step=BiasStep.RESTORED, effective_from=now, decided_at=now, decided_by=actor, note=note
    )
    record_action(
        actor=actor,
        action="restore_tolerance",
        subject=f"bias:{restored.pk}",
        reason=note,
        now=now,
        details={name: str(value) for name, value in key._asdict().items()},
    )
    return restored
