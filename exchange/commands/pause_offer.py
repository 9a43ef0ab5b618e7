"""Pause an offer and resume it: its orders leave the book, and are placed again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from exchange.errors import OfferNotOpen, OfferNotPaused
from exchange.models import Offer, OfferState, ProductTerms
from exchange.offer_alignment import Sent, align, take_back
from exchange.offer_orders import lock_offer
from exchange.qualifications import require_qualified
from ledger.actions import record_action


@dataclass(frozen=True, slots=True)
class PauseOffer:
    """Take a provider's own offer out of the book for a while. What is sold stays sold."""

    offer_id: int
    provider_id: int


@dataclass(frozen=True, slots=True)
class ResumeOffer:
    """Offer again what was not sold, in every window whose gate is still open."""

    offer_id: int
    provider_id: int


@transaction.atomic
def pause_offer(command: PauseOffer, *, actor: str, now: datetime) -> list[Sent]:
    """The cancels put into the line. Raises `OfferNotFound`, and `OfferNotOpen` unless it is open."""
    offer = lock_offer(command.offer_id, command.provider_id)
    if offer.state != OfferState.OPEN:
        raise OfferNotOpen(f"Offer {offer.id} is {offer.state}.", offer_id=str(offer.id), state=offer.state)
    _move(offer, OfferState.PAUSED)
    sent = take_back(offer, actor=actor, now=now)
    _record("pause_offer", offer, sent, actor, now)
    return sent


@transaction.atomic
def resume_offer(command: ResumeOffer, *, actor: str, now: datetime) -> list[Sent]:
    """The orders put into the line. Raises `OfferNotFound`, `OfferNotPaused` and `NotQualified`.

    A window whose order is just leaving the book gets its new one with the next sweep, as one that is halted does when
    it trades again.
    """
    offer = lock_offer(command.offer_id, command.provider_id)
    if offer.state != OfferState.PAUSED:
        raise OfferNotPaused(f"Offer {offer.id} is {offer.state}.", offer_id=str(offer.id), state=offer.state)
    require_qualified(offer.provider_id, offer.product, now)
    offer.terms = ProductTerms.objects.filter(product=offer.product).latest("version")
    _move(offer, OfferState.OPEN)
    sent = align(offer, actor=actor, now=now)
    _record("resume_offer", offer, sent, actor, now)
    return sent


def _move(offer: Offer, to: OfferState) -> None:
    offer.state = to
    offer.save(update_fields=["state", "terms"])


def _record(action: str, offer: Offer, sent: list[Sent], actor: str, now: datetime) -> None:
    record_action(actor=actor, action=action, subject=f"offer:{offer.id}", now=now, details={"orders": len(sent)})
