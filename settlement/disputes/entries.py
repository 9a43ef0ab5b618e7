"""What the commands on disputes have in common: the row under its lock, its next entry, and who is told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ledger.errors import ReasonMissing
from ledger.texts import check_text
from settlement.disputes.errors import DisputeNotFound, WrongDisputeState
from settlement.disputes.rules import MAX_TEXT
from settlement.models import Dispute, DisputeEntry, DisputeEntryKind, DisputeState

UNDECIDED = (DisputeState.OPEN, DisputeState.PROPOSED)
# While one of these, what is disputed stays in suspense.
PENDING = (*UNDECIDED, DisputeState.UPHELD)


def checked_text(text: str, wanted: str) -> str:
    """What somebody says in a dispute, without space around it. Raises `ReasonMissing` and `InvalidText`."""
    said = text.strip()
    if not said:
        raise ReasonMissing(f"{wanted} says something.", field="text")
    check_text(said, "text", MAX_TEXT)
    return said


def lock_dispute(dispute_id: int) -> Dispute:
    """A dispute, until the transaction ends. Raises `DisputeNotFound`."""
    found = Dispute.objects.select_for_update().filter(id=dispute_id).first()
    if found is None:
        raise not_found(dispute_id)
    return found


def lock_own(dispute_id: int, party_id: int) -> Dispute:
    """The same for one of its two sides; a dispute of others is not told apart from none."""
    found = lock_dispute(dispute_id)
    if party_id not in (found.party_id, found.payee_id):
        raise not_found(dispute_id)
    return found


def not_found(dispute_id: int) -> DisputeNotFound:
    return DisputeNotFound(f"There is no dispute {dispute_id}.", dispute=str(dispute_id))


def require_state(dispute: Dispute, *states: DisputeState) -> None:
    """Raises `WrongDisputeState` unless the dispute is in one of these states."""
    if dispute.state not in states:
        allowed = " or ".join(state.value for state in states)
        raise WrongDisputeState(
            f"Dispute {dispute.pk} is {dispute.state}; this is for a dispute that is {allowed}.",
            dispute=str(dispute.pk),
            state=str(dispute.state),
        )


def add_entry(
    dispute: Dispute,
    kind: DisputeEntryKind,
    *,
    actor: str,
    now: datetime,
    party_id: int | None = None,
    text: str = "",
    details: Mapping[str, Any] | None = None,
) -> DisputeEntry:
    """Write the next entry of a dispute that is locked, or new. Clocks differ: it is never before the one before."""
    last = dispute.entries.order_by("-sequence").first()
    return DisputeEntry.objects.create(
        dispute=dispute,
        sequence=1 if last is None else last.sequence + 1,
        kind=kind,
        at=now if last is None else max(now, last.at),
        actor=actor,
        party_id=party_id,
        text=text,
        details=dict(details or {}),
    )
