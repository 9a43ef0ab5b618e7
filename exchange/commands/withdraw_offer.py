"""Withdraw an offer: what is still open of its orders is cancelled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from exchange.errors import OfferNotFound, OfferNotOpen
from exchange.matching.lifecycle import OrderStatus
from exchange.models import Intake, IntakeKind, Offer, OfferState, Order, SequencerState
from exchange.sequencer.intake import Submission, lock_line, submit_all
from ledger.actions import record_action


@dataclass(frozen=True, slots=True)
class WithdrawOffer:
    """A provider withdraws one of its own offers."""

    offer_id: int
    provider_id: int


@dataclass(frozen=True, slots=True)
class WithdrawnOffer:
    """`seqs`: the cancels put into the line, one an order that was not known to be closed."""

    offer_id: int
    seqs: tuple[int, ...]


@transaction.atomic
def withdraw_offer(command: WithdrawOffer, *, actor: str, now: datetime) -> WithdrawnOffer:
    """Raises `OfferNotFound` (also for another provider's) and `OfferNotOpen`."""
    offer = Offer.objects.select_for_update().filter(id=command.offer_id, provider_id=command.provider_id).first()
    if offer is None:
        raise OfferNotFound(f"There is no offer {command.offer_id}.", offer_id=str(command.offer_id))
    if offer.state != OfferState.OPEN:
        raise OfferNotOpen(f"Offer {offer.id} is withdrawn already.", offer_id=str(offer.id), state=offer.state)
    Offer.objects.filter(id=offer.id).update(state=OfferState.WITHDRAWN)
    lock_line()
    cancels = [
        Submission(IntakeKind.CANCEL_ORDER, contract_id, actor, {"order_id": order_id}, command.provider_id)
        for order_id, contract_id in _orders_of(offer)
    ]
    seqs = tuple(submit_all(cancels, now=now))
    record_action(
        actor=actor, action="withdraw_offer", subject=f"offer:{offer.id}", now=now, details={"orders": len(seqs)}
    )
    return WithdrawnOffer(offer.id, seqs)


def _orders_of(offer: Offer) -> list[tuple[int, int]]:
    """(order, contract) of all its orders that are open or still in the line."""
    cursor = SequencerState.objects.values("cursor").filter(shard=1)[:1]
    waiting = Intake.objects.filter(seq__gt=cursor, kind=IntakeKind.PLACE_ORDER, payload__offer_id=offer.id)
    standing = Order.objects.filter(offer_id=offer.id, status=OrderStatus.OPEN)
    found = set(waiting.values_list("seq", "contract_id")) | set(standing.values_list("id", "contract_id"))
    return sorted(found)
