"""An operator proposes whose record settles in a discrepancy case; nothing happens before another confirms it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ledger.actions import record_action
from ledger.errors import ReasonMissing
from ledger.texts import check_text
from settlement.errors import NothingToRule
from settlement.metering.cases import MAX_TEXT, add_entry, lock_case, require_state, touch
from settlement.metering.records import RULED_KINDS, CaseKind, Ruling
from settlement.models import CaseEntryKind, CaseState, DiscrepancyCase


@dataclass(frozen=True, slots=True)
class ProposeRuling:
    """`reason` is read by both sides, by who confirms it and by the auditor."""

    case_id: int
    ruling: Ruling
    reason: str


@transaction.atomic
def propose_ruling(command: ProposeRuling, *, actor: str, now: datetime) -> DiscrepancyCase:
    """Write the proposal down.

    Raises `ReasonMissing`, `InvalidText`, `CaseNotFound`, `WrongCaseState` and `NothingToRule`.
    """
    reason = command.reason.strip()
    if not reason:
        raise ReasonMissing("A ruling needs a reason.", field="reason")
    check_text(reason, "reason", MAX_TEXT)
    case = lock_case(command.case_id)
    require_state(case, CaseState.OPEN, CaseState.ANSWERED)
    if command.ruling is not Ruling.MINIMUM and CaseKind(case.kind) not in RULED_KINDS:
        raise NothingToRule(
            f"In a case of {case.get_kind_display().lower()} only the minimum can be ruled.", field="ruling"
        )
    touch(case, now)
    case.state, case.ruling, case.proposed_by = CaseState.PROPOSED, command.ruling.value, actor
    case.save(update_fields=["state", "changed_at", "ruling", "proposed_by"])
    details = {"ruling": command.ruling.value}
    add_entry(case, CaseEntryKind.PROPOSAL, actor=actor, now=now, text=reason, details=details)
    record_action(
        actor=actor, action="propose_ruling", subject=f"case:{case.pk}", reason=reason, now=now, details=details
    )
    return case
