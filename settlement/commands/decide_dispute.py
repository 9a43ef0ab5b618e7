"""Another operator confirms a proposed decision of a dispute, or sends it back."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from ledger.actions import record_action
from ledger.errors import AlreadyDecided
from ledger.money import format_micros
from ledger.parties.access import check_another_person
from settlement.disputes.entries import UNDECIDED, add_entry, checked_text, lock_dispute, require_state
from settlement.disputes.errors import WrongDisputeState
from settlement.disputes.notices import tell_of_dispute
from settlement.disputes.suspending import release
from settlement.models import Dispute, DisputeEntryKind, DisputeState


@transaction.atomic
def decide_dispute(dispute_id: int, decided_micros: int | None, text: str, *, actor: str, now: datetime) -> Dispute:
    """Confirm a proposal by naming its figure again, or send it back with None; another figure decides nothing.

    With 0 the dispute is rejected and the suspended amount goes back at once; with more it is upheld, and its
    disputed-final run settles it. Raises `ReasonMissing`, `InvalidText`, `DisputeNotFound`, `AlreadyDecided`,
    `WrongDisputeState`, and `NeedsAnotherPerson` for who proposed it and who opened the dispute.
    """
    said = checked_text(text, "A decision")
    dispute = _lock_proposed(dispute_id, actor)
    if decided_micros is None:
        return _send_back(dispute, said, actor, now)
    if decided_micros != dispute.decided_micros:
        raise WrongDisputeState(
            f"The proposal is {format_micros(dispute.decided_micros or 0)}, not {format_micros(decided_micros)}. Read "
            "the dispute again.",
            field="amount",
            dispute=str(dispute.pk),
            proposed=format_micros(dispute.decided_micros or 0),
        )
    if not decided_micros:
        release(dispute, actor=actor, now=now)
    dispute.state = DisputeState.UPHELD if decided_micros else DisputeState.REJECTED
    dispute.decided_by, dispute.decided_at = actor, max(now, dispute.opened_at)
    dispute.save(update_fields=["state", "decided_by", "decided_at"])
    decided = format_micros(decided_micros)
    details = {"decided": decided, "proposed_by": dispute.proposed_by}
    entry = add_entry(dispute, DisputeEntryKind.DECISION, actor=actor, now=now, text=said, details=details)
    record_action(
        actor=actor, action="decide_dispute", subject=f"dispute:{dispute.pk}", reason=said, now=now, details=details
    )
    told = (
        f"Dispute {dispute.pk} is upheld by {decided} of {format_micros(dispute.disputed_micros)}. A run of its own "
        "settles it."
        if decided_micros
        else f"Dispute {dispute.pk} is rejected: the line stands, and what was in suspense for it is back."
    )
    tell_of_dispute(dispute, entry, "dispute_decided", told, now=now)
    return dispute


def _send_back(dispute: Dispute, said: str, actor: str, now: datetime) -> Dispute:
    details = {"decided": format_micros(dispute.decided_micros or 0), "proposed_by": dispute.proposed_by}
    dispute.state, dispute.decided_micros, dispute.proposed_by = DisputeState.OPEN, None, ""
    dispute.save(update_fields=["state", "decided_micros", "proposed_by"])
    add_entry(dispute, DisputeEntryKind.REJECTION, actor=actor, now=now, text=said, details=details)
    record_action(
        actor=actor,
        action="send_dispute_back",
        subject=f"dispute:{dispute.pk}",
        reason=said,
        now=now,
        details=details,
    )
    return dispute


def _lock_proposed(dispute_id: int, actor: str) -> Dispute:
    dispute = lock_dispute(dispute_id)
    if dispute.state not in UNDECIDED:
        raise AlreadyDecided(
            f"Dispute {dispute.pk} is {dispute.state} already.", dispute=str(dispute.pk), state=str(dispute.state)
        )
    require_state(dispute, DisputeState.PROPOSED)
    for other, act in ((dispute.proposed_by, "this decision"), (dispute.opened_by, "this dispute")):
        check_another_person(actor, other, asked_for=act, dispute=str(dispute.pk))
    return dispute
