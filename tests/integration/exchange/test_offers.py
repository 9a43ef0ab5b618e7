"""Offers as they are posted and withdrawn."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from exchange.commands.withdraw_offer import WithdrawOffer, withdraw_offer
from exchange.errors import (
    ContractClosed,
    InvalidOffer,
    InvalidQuantity,
    InvalidWindow,
    NotQualified,
    OfferNotFound,
    OfferNotOpen,
    PriceOutOfBand,
    UnknownProduct,
)
from exchange.models import Intake, Offer, Order
from exchange.selectors.offer_windows import count_unlisted_windows, list_offered_windows
from exchange.selectors.offers import get_offer, list_offers
from exchange.windows import MONTH
from ledger.chart import Role
from ledger.errors import DomainError
from ledger.models import ActionLog, PartyKind
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.market import CODE, HOUR, LOT, NOW, START, Market
from tests.integration.exchange.offering import offer, three_windows


def test_an_offer_is_one_sell_order_in_each_window(market: Market) -> None:
    three_windows(market)
    posted = offer(market)
    assert {result["order_status"] for result in market.results([order.seq for order in posted.orders])} == {"open"}
    market.buy(market.party("buyer-1"), 4, 400)
    (view,) = list_offers(product_code=CODE)
    assert view == get_offer(posted.offer_id, provider_id=market.provider.id)
    assert (view.provider, view.open_orders, view.sold_lots, view.open_lots) == ("provider-1", 3, 4, 26)
    assert ActionLog.objects.filter(action="post_offer", actor="staff").count() == 1
    check_exchange()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"windows": 0}, InvalidOffer),
        ({"windows": 367 * 24}, InvalidOffer),
        ({"windows": 2, "first_delivery": START + timedelta(minutes=30)}, InvalidOffer),
        ({"windows": 1, "window_seconds": 7 * HOUR}, InvalidWindow),
        ({"windows": 1, "weekdays": frozenset({0})}, InvalidOffer),  # a Tuesday
        ({"windows": 1, "weekdays": frozenset({7})}, InvalidOffer),
        ({"windows": 1, "price_ticks": (400,) * 23}, InvalidOffer),
        ({"windows": 1, "price_ticks": (None,) * 24}, InvalidOffer),
        ({"windows": 1, "price_ticks": (400,) * 14 + (None,) * 10}, InvalidOffer),  # at 14:00
        ({"windows": 1, "price_ticks": 0}, InvalidOffer),
        ({"windows": 1, "lots": 0}, InvalidQuantity),
        ({"windows": 1, "price_ticks": 1_001}, PriceOutOfBand),
        ({"windows": 1, "product_code": "NOBODY"}, UnknownProduct),
        ({"windows": 1, "now": START}, ContractClosed),
        ({"windows": 1, "now": START - timedelta(minutes=30)}, ContractClosed),
    ],
)
def test_an_offer_that_one_window_cannot_take_is_refused_whole(
    market: Market, change: dict[str, Any], error: type[DomainError]
) -> None:
    before = Intake.objects.count()
    with pytest.raises(error):
        offer(market, **change)
    assert (Intake.objects.count(), Offer.objects.count()) == (before, 0)


def test_a_provider_that_is_not_qualified_offers_nothing(market: Market) -> None:
    stranger = market.party("provider-2", PartyKind.PROVIDER)
    with pytest.raises(NotQualified):
        offer(market, windows=1, provider_id=stranger.id)


def test_withdrawing_takes_open_and_waiting_orders_back_and_leaves_what_is_sold(market: Market) -> None:
    three_windows(market)
    first = offer(market)
    market.results([first.orders[0].seq])
    market.buy(market.party("buyer-1"), 4, 400)
    waiting = offer(market)
    for posted in (first, waiting):
        withdrawn = withdraw_offer(WithdrawOffer(posted.offer_id, market.provider.id), actor="staff", now=NOW)
        assert len(withdrawn.seqs) == 3
    assert {result["status"] for result in market.results([1 + waiting.orders[-1].seq])} == {"accepted"}
    assert set(Order.objects.filter(party_id=market.provider.id).values_list("status", flat=True)) == {"cancelled"}
    assert market.tokens(market.provider, Role.OBLIGATION).balance == -4 * LOT
    assert market.cash(market.provider).held == 4_000_000
    with pytest.raises(OfferNotOpen):
        withdraw_offer(WithdrawOffer(first.offer_id, market.provider.id), actor="staff", now=NOW)
    check_exchange()


def test_another_providers_offer_is_not_found(market: Market) -> None:
    posted = offer(market, windows=1)
    other = market.seller("provider-2")
    with pytest.raises(OfferNotFound):
        withdraw_offer(WithdrawOffer(posted.offer_id, other.id), actor="staff", now=NOW)
    with pytest.raises(OfferNotFound):
        get_offer(posted.offer_id, provider_id=other.id)


def test_weekdays_and_hours_choose_the_windows_and_their_prices(market: Market) -> None:
    """The first of December 2026 is a Tuesday; each hour of two days is listed."""
    for hours in range(1, 48):
        market.list_window(START + timedelta(hours=hours))
    market.sweep()
    curve = tuple(300 + hour if 8 <= hour < 20 else None for hour in range(24))
    posted = offer(market, windows=48, price_ticks=curve, weekdays=frozenset({1, 3}))
    market.results([order.seq for order in posted.orders])
    prices = {
        each.delivery_start: each.price_ticks
        for each in list_offered_windows(posted.offer_id, now=NOW)
        if each.order_id
    }
    expected = {START.replace(hour=hour): 300 + hour for hour in range(14, 20)}
    expected |= {START.replace(day=3, hour=hour): 300 + hour for hour in range(8, 14)}
    assert prices == expected
    view = get_offer(posted.offer_id)
    assert (view.price_ticks, view.weekdays, view.curve) == (308, frozenset({1, 3}), curve)


def test_a_month_is_offered_like_any_other_window(market: Market) -> None:
    january = START.replace(year=2027, month=1, day=1, hour=0)
    market.list_window(january, MONTH)
    market.declare(10_000, seconds=MONTH)
    market.sweep()
    may = january.replace(month=5)
    posted = offer(market, window_seconds=MONTH, first_delivery=january, last_delivery=may, lots=100)
    (result,) = market.results([order.seq for order in posted.orders])
    assert result["order_status"] == "open"
    assert count_unlisted_windows(posted.offer_id, now=NOW) == 4


def test_what_goes_beyond_capacity_or_bond_is_refused_window_by_window(market: Market) -> None:
    three_windows(market)
    offer(market, windows=1, lots=300)
    second = offer(market, lots=100)
    results = market.results([order.seq for order in second.orders])
    assert [result.get("code") for result in results] == ["capacity_exceeded", None, None]
    (window, *_) = list_offered_windows(second.offer_id, now=NOW)
    assert (window.status, window.note) == ("rejected", results[0]["message"])
    third = offer(market, lots=260)  # 500 of the cash's 1,000 lots are held
    codes = [result.get("code") for result in market.results([order.seq for order in third.orders])]
    assert codes == ["capacity_exceeded", None, "insufficient_funds"]
    check_exchange()
