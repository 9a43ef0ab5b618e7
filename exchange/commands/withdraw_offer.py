"""Withdraw an offer: what is still open of its orders is cancelled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from exchange.errors import OfferNotOpen
from exchange.models import OfferState
from exchange.offer_alignment import take_back
from exchange.offer_orders import lock_offer
from ledger.actions import record_action


@dataclass(frozen=True, slots=True)
class WithdrawOffer:
    """A provider withdraws one of its own offers, open or paused, for good."""

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
    offer = lock_offer(command.offer_id, command.provider_id)
    if offer.state == OfferState.WITHDRAWN:
        raise OfferNotOpen(f"Offer {offer.id} is withdrawn already.", offer_id=str(offer.id), state=offer.state)
    offer.state = OfferState.WITHDRAWN
    offer.save(update_fields=["state"])
    seqs = tuple(sent.seq for sent in take_back(offer, actor=actor, now=now))
    record_action(
        actor=actor, action="withdraw_offer", subject=f"offer:{offer.id}", now=now, details={"orders": len(seqs)}
    )
    return WithdrawnOffer(offer.id, seqs)
