"""Give offers their orders in windows that have come into trade since."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef

from exchange.models import Offer, OfferState
from exchange.offer_alignment import Sent, lacking, place_missing
from exchange.offer_orders import lock_offer
from exchange.qualifications import in_force
from ledger.actions import record_action
from ledger.chart import Role
from ledger.models import Account

ACTOR = "clock"


def place_due_offer_orders(now: datetime) -> list[Sent]:
    """Place what standing offers lack, each offer in a transaction of its own. It may run at any time.

    Offers of providers that are not qualified now, or whose cash is frozen, wait.
    """
    qualified = in_force(now).filter(provider_id=OuterRef("provider_id"), product_id=OuterRef("product_id"))
    frozen = Account.objects.filter(
        party_id=OuterRef("provider_id"), asset_id=OuterRef("product__currency_id"), role=Role.CASH, frozen=True
    )
    standing = Offer.objects.filter(Exists(qualified), ~Exists(frozen), state=OfferState.OPEN, last_delivery__gt=now)
    sent: list[Sent] = []
    for offer in lacking(list(standing.select_related("terms").order_by("id")), now):
        sent += _place(offer, now)
    return sent


@transaction.atomic
def _place(found: Offer, now: datetime) -> list[Sent]:
    offer = lock_offer(found.id, found.provider_id)
    if offer.state != OfferState.OPEN:
        return []
    sent = place_missing(offer, actor=ACTOR, now=now)
    if sent:
        record_action(
            actor=ACTOR,
            action="place_offer_orders",
            subject=f"offer:{offer.id}",
            now=now,
            details={"orders": len(sent)},
        )
    return sent
