"""Whatever is done to offers, in whatever order and however late it is decided: the book ends as they say."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest

from exchange.commands.change_offer import ChangeOffer, change_offer
from exchange.commands.pause_offer import PauseOffer, ResumeOffer, pause_offer, resume_offer
from exchange.commands.place_due_offer_orders import place_due_offer_orders
from exchange.commands.withdraw_offer import WithdrawOffer, withdraw_offer
from exchange.models import Contract, Fill, Offer, OfferState, Order
from exchange.offer_orders import schedule_of
from exchange.offer_schedule import Prices
from ledger.errors import DomainError
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.market import NOW, START, Market
from tests.integration.exchange.offering import offer

HOURS = 4
STEPS = 60
MOST_LOTS = 40  # four offers never come near the site's 360 lots or the bond's 1,000


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_book_ends_as_the_offers_say(market: Market, seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    provider, buyer = market.provider.id, market.party("buyer-1", micros=10**9)
    most: Counter[int] = Counter()  # the most lots that each offer ever asked for
    for _ in range(STEPS):
        offers = list(Offer.objects.exclude(state=OfferState.WITHDRAWN))
        step = chance.choice(["post", "pause", "resume", "change", "change", "buy", "buy", "list", "sweep", "decide"])
        chosen = chance.choice(offers).id if offers else 0
        lots, price = chance.randint(1, MOST_LOTS), chance.randint(390, 410)
        try:
            match step:
                case "post" if len(offers) < 4:
                    most[offer(market, windows=HOURS, lots=lots, price_ticks=price).offer_id] = lots
                case "pause":
                    pause_offer(PauseOffer(chosen, provider), actor="staff", now=NOW)
                case "resume":
                    resume_offer(ResumeOffer(chosen, provider), actor="staff", now=NOW)
                case "change":
                    curve = tuple(chance.choice([price, price + 1, None]) for _ in range(23))
                    prices: Prices = price if chance.random() < 0.5 else (*curve, price)
                    change_offer(ChangeOffer(chosen, provider, lots, prices), actor="staff", now=NOW)
                    most[chosen] = max(most[chosen], lots)
                case "buy":
                    market.submit_buy(buyer, chance.randint(1, 9), chance.randint(390, 415))
                case "list":
                    hours = Contract.objects.count()
                    if hours < HOURS:
                        market.list_window(START + timedelta(hours=hours))
                        market.sweep()
                case "sweep":
                    place_due_offer_orders(NOW)
                case "decide":
                    market.results([])
        except DomainError:  # a step that does not fit the state
            continue
    if offers := list(Offer.objects.exclude(state=OfferState.WITHDRAWN)):
        withdraw_offer(WithdrawOffer(offers[0].id, provider), actor="staff", now=NOW)
    for _ in range(3):
        market.results([])
        place_due_offer_orders(NOW)
    market.results([])
    assert place_due_offer_orders(NOW) == []
    for each in Offer.objects.all():
        _check_offer(each, most[each.id])
    check_exchange()


def _check_offer(offer: Offer, most: int) -> None:
    for contract in Contract.objects.all():
        orders = Order.objects.filter(offer_id=offer.id, contract_id=contract.id)
        standing = [order for order in orders if order.status == "open"]
        fills = Fill.objects.filter(sell_order_id__in=[order.id for order in orders])
        sold = sum(fills.values_list("lots", flat=True))
        price = schedule_of(offer).price_at(contract.delivery_start)
        assert sold <= most
        if offer.state == OfferState.OPEN and price is not None and sold < offer.lots:
            (order,) = standing
            assert (order.price_ticks, order.remaining_lots) == (price, offer.lots - sold)
        else:
            assert not standing
