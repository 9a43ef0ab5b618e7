"""An operator proposes how a dispute is decided; nothing happens before another confirms it."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from ledger.actions import record_action
from ledger.errors import InvalidAmount
from ledger.money import format_micros
from ledger.parties.access import check_another_person
from settlement.disputes.entries import add_entry, checked_text, lock_dispute, require_state
from settlement.models import Dispute, DisputeEntryKind, DisputeState


@transaction.atomic
def propose_dispute(dispute_id: int, decided_micros: int, text: str, *, actor: str, now: datetime) -> Dispute:
    """Write the proposal down. `decided_micros`: how much of the disputed amount was right to dispute; 0 rejects it.

    Raises `ReasonMissing`, `InvalidText`, `DisputeNotFound`, `WrongDisputeState`, `NeedsAnotherPerson` for who opened
    the dispute, and `InvalidAmount`.
    """
    said = checked_text(text, "A proposal")
    dispute = lock_dispute(dispute_id)
    require_state(dispute, DisputeState.OPEN)
    check_another_person(actor, dispute.opened_by, asked_for="this dispute", dispute=str(dispute.pk))
    if not 0 <= decided_micros <= dispute.disputed_micros:
        raise InvalidAmount(
            f"Between nothing and {format_micros(dispute.disputed_micros)}, the disputed amount, can be decided.",
            field="amount",
            maximum=format_micros(dispute.disputed_micros),
        )
    dispute.state, dispute.decided_micros, dispute.proposed_by = DisputeState.PROPOSED, decided_micros, actor
    dispute.save(update_fields=["state", "decided_micros", "proposed_by"])
    details = {"decided": format_micros(decided_micros)}
    add_entry(dispute, DisputeEntryKind.PROPOSAL, actor=actor, now=now, text=said, details=details)
    record_action(
        actor=actor, action="propose_dispute", subject=f"dispute:{dispute.pk}", reason=said, now=now, details=details
    )
    return dispute
