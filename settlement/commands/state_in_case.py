"""A party says what it has to say about a discrepancy case."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ledger.errors import ReasonMissing
from ledger.texts import check_text
from settlement.errors import CaseNotFound, TooManyStatements
from settlement.metering.cases import MAX_TEXT, add_entry, lock_case, require_state, touch
from settlement.models import CaseEntry, CaseEntryKind, CaseState

MAX_STATEMENTS = 100  # of a party in a case


@dataclass(frozen=True, slots=True)
class StateInCase:
    """`party_id` is the buyer or the provider of the case, whose word it is."""

    case_id: int
    party_id: int
    text: str


@transaction.atomic
def state_in_case(command: StateInCase, *, actor: str, now: datetime) -> CaseEntry:
    """Write the statement down; an open case becomes answered, a proposal stays one.

    Raises `CaseNotFound` (also for a case of others), `ReasonMissing`, `InvalidText`, `WrongCaseState`,
    `TooManyStatements`.
    """
    text = command.text.strip()
    if not text:
        raise ReasonMissing("A statement says something.", field="text")
    check_text(text, "text", MAX_TEXT)
    case = lock_case(command.case_id)
    if command.party_id not in (case.buyer_id, case.provider_id):
        raise CaseNotFound(f"There is no discrepancy case {command.case_id}.", case=str(command.case_id))
    require_state(case, CaseState.OPEN, CaseState.ANSWERED, CaseState.PROPOSED)
    said = case.entries.filter(kind=CaseEntryKind.STATEMENT, party_id=command.party_id).count()
    if said >= MAX_STATEMENTS:
        raise TooManyStatements(
            f"The party has made {said} statements in this case already.", case=str(case.pk), most=MAX_STATEMENTS
        )
    touch(case, now)
    if case.state == CaseState.OPEN:
        case.state = CaseState.ANSWERED
    case.save(update_fields=["state", "changed_at"])
    return add_entry(case, CaseEntryKind.STATEMENT, actor=actor, now=now, party_id=command.party_id, text=text)
