"""Ask for an order to be taken out of the book."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from exchange.models import IntakeKind
from exchange.selectors.own_orders import OwnOrder, get_own_order
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
    return submit(draft_cancel(command, get_own_order(command.party_id, command.order_id), actor=actor), now=now)


def draft_cancel(command: CancelOrder, order: OwnOrder, *, actor: str) -> Submission:
    """The command as it will stand in the line."""
    return Submission(
        kind=IntakeKind.CANCEL_ORDER,
        contract_id=order.contract_id,
        party_id=command.party_id,
        actor=actor,
        payload={"order_id": command.order_id},
    )
