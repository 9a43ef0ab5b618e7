"""Acts that two people do, kept in the action log: one asks, another does it, once.

The log is append-only, so what was asked for cannot be changed in between, and the auditor reads both.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ledger.actions import record_action
from ledger.errors import NotFound, ReasonMissing
from ledger.models import ActionLog
from ledger.parties.access import check_another_person
from settlement.errors import RequestNotOpen

ASK = "ask_"
DECIDED = "refuse_"


def ask(act: str, subject: str, details: Mapping[str, Any], reason: str, *, actor: str, now: datetime) -> ActionLog:
    """Write down what is asked for. Raises `ReasonMissing`."""
    if not reason.strip():
        raise ReasonMissing("Such an act needs a reason.", field="reason")
    record_action(
        actor=actor, action=f"{ASK}{act}", subject=subject, reason=reason.strip(), now=now, details=dict(details)
    )
    return ActionLog.objects.filter(action=f"{ASK}{act}", subject=subject, actor=actor).latest("id")


def take(request_id: int, act: str, *, actor: str, now: datetime, refusal: str = "") -> ActionLog:
    """The request, decided by `actor` from now on: done, or refused for a reason. Under the lock of payments.

    Raises `NotFound`, `NeedsAnotherPerson`, and `RequestNotOpen` for one that was decided.
    """
    asked = ActionLog.objects.filter(pk=request_id, action=f"{ASK}{act}").first()
    if asked is None:
        raise NotFound(f"There is no such request {request_id}.", request=str(request_id))
    if is_decided(asked):
        raise RequestNotOpen(f"Request {request_id} was decided before.", request=str(request_id))
    check_another_person(actor, asked.actor, asked_for="this", request=str(request_id))
    record_action(
        actor=actor,
        action=f"{DECIDED if refusal else ''}{act}",
        subject=f"request:{request_id}",
        reason=refusal or asked.reason,
        now=now,
        details={"requested_by": asked.actor, "subject": asked.subject},
    )
    return asked


def is_decided(asked: ActionLog) -> bool:
    """Whether a request was done or refused."""
    act = asked.action.removeprefix(ASK)
    return ActionLog.objects.filter(subject=f"request:{asked.pk}", action__in=[act, f"{DECIDED}{act}"]).exists()


def open_requests(*acts: str) -> list[ActionLog]:
    """What waits for another person, oldest first."""
    asked = ActionLog.objects.filter(action__in=[f"{ASK}{act}" for act in acts]).order_by("id")
    return [each for each in asked if not is_decided(each)]
