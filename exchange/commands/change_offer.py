"""Change an offer's price or quantity; its standing orders are amended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from exchange import trading_rules as rules
from exchange.errors import OfferNotOpen
from exchange.models import OfferState, ProductTerms
from exchange.offer_alignment import Sent, align
from exchange.offer_orders import check_prices, covered_contracts, lock_offer, schedule_of
from exchange.offer_schedule import Prices, curve_of, lowest
from exchange.qualifications import require_qualified
from ledger.actions import record_action


@dataclass(frozen=True, slots=True)
class ChangeOffer:
    """New prices and lots of a provider's own offer; what it sold already counts towards the lots.

    `price_ticks` is as in `PostOffer`. Orders keep their ids; one whose price changes, or whose lots grow, goes to the
    end of its queue.
    """

    offer_id: int
    provider_id: int
    lots: int
    price_ticks: Prices


@transaction.atomic
def change_offer(command: ChangeOffer, *, actor: str, now: datetime) -> list[Sent]:
    """The commands put into the line; a paused offer only takes the new figures.

    Windows that have no order although the offer has lots left, since it was refused or cancelled, get one again.
    Raises `OfferNotFound`, `OfferNotOpen` (withdrawn, or all its windows have begun), `InvalidQuantity`,
    `InvalidOffer`, `NotQualified` and `PriceOutOfBand`; more than the capacity or the bond allow is judged by the
    sequencer, and leaves that window as it was.
    """
    rules.check_lots(command.lots)
    offer = lock_offer(command.offer_id, command.provider_id)
    if offer.state == OfferState.WITHDRAWN or offer.last_delivery <= now:
        state = offer.state if offer.state == OfferState.WITHDRAWN else "over"
        raise OfferNotOpen(f"Offer {offer.id} is {state}.", offer_id=str(offer.id), state=state)
    require_qualified(offer.provider_id, offer.product, now)
    curve = curve_of(command.price_ticks)
    offer.lots, offer.price_ticks = command.lots, lowest(curve)
    offer.hourly_ticks = None if isinstance(command.price_ticks, int) else list(curve)
    offer.terms = ProductTerms.objects.filter(product=offer.product).latest("version")
    schedule = schedule_of(offer)
    check_prices(schedule, [each for each in covered_contracts(schedule, offer) if each.gate_close > now])
    offer.save(update_fields=["lots", "price_ticks", "hourly_ticks", "terms"])
    sent = align(offer, actor=actor, now=now) if offer.state == OfferState.OPEN else []
    record_action(
        actor=actor,
        action="change_offer",
        subject=f"offer:{offer.id}",
        now=now,
        details={"lots": command.lots, "price_ticks": command.price_ticks, "commands": len(sent)},
    )
    return sent
