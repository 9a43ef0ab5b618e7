"""Another operator confirms that a provider owes no damages for a time, or refuses it."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from ledger.actions import record_action
from ledger.errors import NotFound, ReasonMissing
from ledger.parties.access import check_another_person
from ledger.texts import check_text
from settlement.commands.request_force_majeure import MAX_REASON
from settlement.errors import RequestNotOpen
from settlement.models import ForceMajeure, RequestState


@transaction.atomic
def confirm_force_majeure(request_id: int, *, actor: str, now: datetime) -> ForceMajeure:
    """Confirm a request as it stands; it is final.

    Raises `NotFound`, `RequestNotOpen` and `NeedsAnotherPerson`.
    """
    return _decide(_lock_open(request_id, actor), RequestState.CONFIRMED, "", actor=actor, now=now)


@transaction.atomic
def refuse_force_majeure(request_id: int, reason: str, *, actor: str, now: datetime) -> ForceMajeure:
    """Refuse a request, for a reason; it is final, and another one may be made.

    Raises `ReasonMissing`, `InvalidText`, `NotFound`, `RequestNotOpen` and `NeedsAnotherPerson`.
    """
    reason = reason.strip()
    if not reason:
        raise ReasonMissing("Refusing force majeure needs a reason.", field="reason")
    check_text(reason, "reason", MAX_REASON)
    return _decide(_lock_open(request_id, actor), RequestState.REFUSED, reason, actor=actor, now=now)


def _lock_open(request_id: int, actor: str) -> ForceMajeure:
    asked = ForceMajeure.objects.select_for_update().filter(pk=request_id).first()
    if asked is None:
        raise NotFound(f"There is no force majeure {request_id}.", request=str(request_id))
    if asked.state != RequestState.REQUESTED:
        raise RequestNotOpen(f"Force majeure {asked.pk} was {asked.state} before.", request=str(asked.pk))
    check_another_person(actor, asked.requested_by, asked_for="this", request=str(asked.pk))
    return asked


def _decide(asked: ForceMajeure, state: RequestState, reason: str, *, actor: str, now: datetime) -> ForceMajeure:
    asked.state, asked.decided_by, asked.decided_at = state, actor, now
    asked.save(update_fields=["state", "decided_by", "decided_at"])
    word = "confirm" if state is RequestState.CONFIRMED else "refuse"
    record_action(
        actor=actor,
        action=f"{word}_force_majeure",
        subject=f"force_majeure:{asked.pk}",
        reason=reason,
        now=now,
        details={"requested_by": asked.requested_by},
    )
    return asked
