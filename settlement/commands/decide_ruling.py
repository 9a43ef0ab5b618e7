"""Another operator confirms a proposed ruling, or sends the case back."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from ledger.actions import record_action
from ledger.errors import AlreadyDecided, ReasonMissing
from ledger.parties.access import check_another_person
from ledger.texts import check_text
from settlement.metering.cases import MAX_TEXT, add_entry, lock_case, require_state, touch
from settlement.metering.reconcile_queue import enqueue
from settlement.models import CaseEntryKind, CaseState, DiscrepancyCase


@transaction.atomic
def confirm_ruling(case_id: int, *, actor: str, now: datetime) -> DiscrepancyCase:
    """Confirm a proposal as it stands: the next run settles by it. It is final.

    Raises `CaseNotFound`, `AlreadyDecided`, `WrongCaseState` and `NeedsAnotherPerson`.
    """
    case = _lock_proposed(case_id, actor)
    touch(case, now)
    case.state, case.decided_by = CaseState.DECIDED, actor
    case.save(update_fields=["state", "changed_at", "decided_by"])
    details = {"ruling": case.ruling, "proposed_by": case.proposed_by}
    add_entry(case, CaseEntryKind.DECISION, actor=actor, now=now, details=details)
    record_action(actor=actor, action="confirm_ruling", subject=f"case:{case.pk}", now=now, details=details)
    enqueue([case.contract_id], now=now)
    return case


@transaction.atomic
def reject_ruling(case_id: int, reason: str, *, actor: str, now: datetime) -> DiscrepancyCase:
    """Send a case back, for a reason: another ruling may be proposed.

    Raises `ReasonMissing`, `InvalidText`, `CaseNotFound`, `AlreadyDecided`, `WrongCaseState` and `NeedsAnotherPerson`.
    """
    reason = reason.strip()
    if not reason:
        raise ReasonMissing("Rejecting a proposal needs a reason.", field="reason")
    check_text(reason, "reason", MAX_TEXT)
    case = _lock_proposed(case_id, actor)
    details = {"ruling": case.ruling, "proposed_by": case.proposed_by}
    touch(case, now)
    case.state, case.ruling, case.proposed_by = CaseState.ANSWERED, "", ""
    case.save(update_fields=["state", "changed_at", "ruling", "proposed_by"])
    add_entry(case, CaseEntryKind.REJECTION, actor=actor, now=now, text=reason, details=details)
    record_action(
        actor=actor, action="reject_ruling", subject=f"case:{case.pk}", reason=reason, now=now, details=details
    )
    return case


def _lock_proposed(case_id: int, actor: str) -> DiscrepancyCase:
    case = lock_case(case_id)
    if case.state == CaseState.DECIDED:
        raise AlreadyDecided(f"Case {case.pk} was decided by {case.decided_by} already.", case=str(case.pk))
    require_state(case, CaseState.PROPOSED)
    check_another_person(actor, case.proposed_by, asked_for="this ruling", case=str(case.pk))
    return case
