"""Offers that stand: paused, resumed and repriced."""

from __future__ import annotations

from datetime import timedelta

import pytest

from exchange.commands.change_offer import ChangeOffer, change_offer
from exchange.commands.pause_offer import PauseOffer, ResumeOffer, pause_offer, resume_offer
from exchange.commands.qualify_provider import RevokeQualification, revoke_qualification
from exchange.commands.withdraw_offer import WithdrawOffer, withdraw_offer
from exchange.errors import NotQualified, OfferNotFound, OfferNotOpen, OfferNotPaused, PriceOutOfBand
from exchange.models import Qualification
from ledger.chart import Role
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.market import ACTOR, LOT, NOW, START, SYMBOL, Market
from tests.integration.exchange.offering import change, decided, offer, open_lots, pause, resume, sweep, three_windows


def test_a_paused_offer_is_out_of_the_book_and_comes_back_with_what_it_did_not_sell(market: Market) -> None:
    three_windows(market)
    posted = offer(market)
    market.results([])
    market.buy(market.party("buyer-1"), 4, 400)
    assert pause(market, posted.offer_id) == 3
    assert open_lots(market, posted.offer_id) == [("cancelled", 400, 0)] * 3
    assert market.cash(market.provider).held == 4_000_000
    assert sweep(market) == []
    market.clock.at = START - timedelta(minutes=30)  # the first gate closes
    market.sweep()
    assert resume(market, posted.offer_id) == 2
    assert open_lots(market, posted.offer_id) == [("cancelled", 400, 0), ("open", 400, 10), ("open", 400, 10)]
    check_exchange()


def test_what_is_sold_while_an_offer_is_being_paused_is_not_offered_twice(market: Market) -> None:
    """The buy stands in the line before the cancel; the offer is resumed before either is decided."""
    posted = offer(market, windows=1)
    market.results([])
    buy = market.submit_buy(market.party("buyer-1"), 4, 400)
    assert pause(market, posted.offer_id) == 1
    assert resume(market, posted.offer_id) == 0
    assert sweep(market) == []  # decided only now
    assert market.results([buy])[0]["filled_lots"] == 4
    assert sweep(market) == [("place_order", SYMBOL)]
    assert sweep(market) == []
    (window,) = decided(market, posted.offer_id)
    assert (window.sold_lots, window.open_lots) == (4, 6)
    check_exchange()


def test_an_order_that_is_not_decided_yet_is_paused_and_repriced_like_any_other(market: Market) -> None:
    paused, changed = offer(market, windows=1), offer(market, windows=1)
    assert pause(market, paused.offer_id) == 1
    assert change(market, changed.offer_id, 7, 390) == ["amend_order"]
    assert change(market, changed.offer_id, 10, 400) == ["amend_order"]  # as it was sent, and not as it will be
    assert open_lots(market, paused.offer_id) == [("cancelled", 400, 0)]
    assert open_lots(market, changed.offer_id) == [("open", 400, 10)]


def test_repricing_amends_the_standing_orders(market: Market) -> None:
    three_windows(market)
    posted = offer(market)
    market.results([])
    buyer = market.party("buyer-1")
    market.buy(buyer, 4, 400)
    curve = tuple(450 if hour == 15 else 400 for hour in range(24))
    assert change(market, posted.offer_id, 10, curve) == ["amend_order"]  # the others are what they should be
    assert open_lots(market, posted.offer_id) == [("open", 400, 6), ("open", 450, 10), ("open", 400, 10)]
    assert change(market, posted.offer_id, 20, 390) == ["amend_order"] * 3
    assert open_lots(market, posted.offer_id) == [("open", 390, 16), ("open", 390, 20), ("open", 390, 20)]
    assert {each.order_id for each in decided(market, posted.offer_id)} == {each.seq for each in posted.orders}
    assert change(market, posted.offer_id, 3, 390) == ["amend_order"] * 3  # less than is sold in the first
    assert [each.open_lots for each in decided(market, posted.offer_id)] == [0, 3, 3]
    assert change(market, posted.offer_id, 6, 390) == ["place_order", "amend_order", "amend_order"]
    assert [each.open_lots for each in decided(market, posted.offer_id)] == [2, 6, 6]
    assert market.tokens(market.provider, Role.OBLIGATION).balance == -4 * LOT
    check_exchange()


def test_a_price_that_crosses_the_book_trades_at_once(market: Market) -> None:
    posted = offer(market, windows=1)
    market.buy(market.party("buyer-1"), 4, 350)
    change(market, posted.offer_id, 10, 340)
    (window,) = decided(market, posted.offer_id)
    assert (window.sold_lots, window.open_lots, window.price_ticks) == (4, 6, 340)
    check_exchange()


def test_hours_that_lose_their_price_leave_the_book_and_come_back_with_one(market: Market) -> None:
    three_windows(market)
    posted = offer(market)
    market.results([])
    assert change(market, posted.offer_id, 10, (None,) * 15 + (410,) * 9) == [
        "cancel_order",
        "amend_order",
        "amend_order",
    ]
    assert open_lots(market, posted.offer_id) == [("cancelled", 400, 0), ("open", 410, 10), ("open", 410, 10)]
    assert sweep(market) == []
    assert change(market, posted.offer_id, 10, 410) == ["place_order"]
    assert open_lots(market, posted.offer_id) == [("open", 410, 10)] * 3


def test_more_than_the_capacity_leaves_a_window_as_it_was(market: Market) -> None:
    posted = offer(market, windows=1)
    assert change(market, posted.offer_id, 361, 400) == ["amend_order"]
    assert open_lots(market, posted.offer_id) == [("open", 400, 10)]
    assert change(market, posted.offer_id, 360, 400) == ["amend_order"]
    assert open_lots(market, posted.offer_id) == [("open", 400, 360)]
    check_exchange()


def test_a_paused_offer_takes_a_new_price_and_shows_it_when_it_is_resumed(market: Market) -> None:
    posted = offer(market, windows=1)
    market.results([])
    pause(market, posted.offer_id)
    market.results([])
    assert change(market, posted.offer_id, 5, 390) == []
    resume(market, posted.offer_id)
    assert open_lots(market, posted.offer_id) == [("open", 390, 5)]


def test_steps_that_do_not_fit_the_state_are_refused(market: Market) -> None:
    posted = offer(market, windows=1)
    with pytest.raises(OfferNotPaused):
        resume(market, posted.offer_id)
    with pytest.raises(PriceOutOfBand):
        change(market, posted.offer_id, 10, 1_001)
    other = market.seller("provider-2").id
    with pytest.raises(OfferNotFound):
        pause_offer(PauseOffer(posted.offer_id, other), actor="staff", now=NOW)
    with pytest.raises(OfferNotFound):
        resume_offer(ResumeOffer(posted.offer_id, other), actor="staff", now=NOW)
    with pytest.raises(OfferNotFound):
        change_offer(ChangeOffer(posted.offer_id, other, 1, 400), actor="staff", now=NOW)
    pause(market, posted.offer_id)
    with pytest.raises(OfferNotOpen):
        pause(market, posted.offer_id)
    qualification = Qualification.objects.get(provider=market.provider)
    revoke_qualification(RevokeQualification(qualification.id, "a probe failed"), actor=ACTOR, now=NOW)
    with pytest.raises(NotQualified):
        resume(market, posted.offer_id)
    with pytest.raises(NotQualified):
        change(market, posted.offer_id, 10, 410)
    withdraw_offer(WithdrawOffer(posted.offer_id, market.provider.id), actor="staff", now=NOW)
    for refused in (pause, resume):
        with pytest.raises((OfferNotOpen, OfferNotPaused)):
            refused(market, posted.offer_id)
    with pytest.raises(OfferNotOpen):
        change(market, posted.offer_id, 10, 400)


def test_an_offer_whose_windows_have_begun_is_not_changed_any_more(market: Market) -> None:
    posted = offer(market, windows=1)
    market.clock.at = START
    with pytest.raises(OfferNotOpen) as refusal:
        change(market, posted.offer_id, 10, 400)
    assert refusal.value.fields["state"] == "over"
