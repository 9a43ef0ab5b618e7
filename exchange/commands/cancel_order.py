"""Ask for an order to be taken out of the book."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from exchange.errors import OrderNotFound
from exchange.models import Intake, IntakeKind
from exchange.sequencer.intake import Submission, Submitted, submit


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Cancel what is left of an own order."""

    party_id: int
    order_id: int


def cancel_order(command: CancelOrder, *, actor: str, now: datetime) -> Submitted:
    """Put a cancel into the line. Raises `OrderNotFound` for an unknown order and for somebody else's.

    Whether the order is still open, the sequencer decides (`order_not_open`).
    """
    placed = Intake.objects.filter(seq=command.order_id, kind=IntakeKind.PLACE_ORDER, party_id=command.party_id).first()
    if placed is None:
        raise OrderNotFound(f"There is no order {command.order_id}.", order_id=str(command.order_id))
    submission = Submission(
        kind=IntakeKind.CANCEL_ORDER,
        contract_id=placed.contract_id,
        party_id=command.party_id,
        actor=actor,
        payload={"order_id": command.order_id},
    )
    return submit(submission, now=now)
