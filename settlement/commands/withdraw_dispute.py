"""The party that disputed a line lets it stand after all."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from ledger.actions import record_action
from settlement.disputes.entries import UNDECIDED, add_entry, checked_text, lock_own, not_found, require_state
from settlement.disputes.notices import tell_of_dispute
from settlement.disputes.suspending import release
from settlement.models import Dispute, DisputeEntryKind, DisputeState


@transaction.atomic
def withdraw_dispute(dispute_id: int, text: str, *, party_id: int, actor: str, now: datetime) -> Dispute:
    """Withdraw a dispute that is not decided: the suspended amount goes back. Until its deadline the line may be
    disputed again, `MAX_AGAIN` times.

    Raises `ReasonMissing`, `InvalidText`, `WrongDisputeState`, and `DisputeNotFound` also for a dispute of others.
    """
    said = checked_text(text, "Whoever withdraws")
    dispute = lock_own(dispute_id, party_id)
    if party_id != dispute.party_id:
        raise not_found(dispute_id)
    require_state(dispute, *UNDECIDED)
    release(dispute, actor=actor, now=now)
    dispute.state = DisputeState.WITHDRAWN
    dispute.save(update_fields=["state"])
    entry = add_entry(dispute, DisputeEntryKind.WITHDRAWAL, actor=actor, now=now, party_id=party_id, text=said)
    record_action(actor=actor, action="withdraw_dispute", subject=f"dispute:{dispute.pk}", reason=said, now=now)
    told = f"Dispute {dispute.pk} was withdrawn. What was in suspense for it is back."
    tell_of_dispute(dispute, entry, "dispute_withdrawn", told, now=now)
    return dispute
