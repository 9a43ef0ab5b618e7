"""Only levels of the book move in a delta: the price of an order that never rested is none."""

from __future__ import annotations

from exchange.models import BookDelta
from tests.integration.exchange.commands import decided, order, status_of
from tests.integration.exchange.market import Market


def test_the_price_of_a_taker_that_prevention_lowered_is_no_level(market: Market) -> None:
    buyer, seller = market.party("buyer-1"), market.provider
    decided(
        market,
        order(market, seller, "sell", 1, 400, group_id=buyer.id),  # its own
        order(market, seller, "sell", 9, 401, group_id=seller.id),
    )
    (answer,) = decided(market, order(market, buyer, "buy", 5, 405, group_id=buyer.id, self_trade="decrement"))
    assert status_of(answer["order_id"]) == ("filled", "filled", 0)
    content = BookDelta.objects.latest("seq").content
    assert (content["bids"], content["asks"]) == ([], [[400, 0, 0], [401, 5, 1]])


def test_what_is_left_of_it_is_one_when_it_rests(market: Market) -> None:
    buyer, seller = market.party("buyer-1"), market.provider
    decided(market, order(market, seller, "sell", 1, 400, group_id=buyer.id))
    decided(market, order(market, buyer, "buy", 5, 405, group_id=buyer.id, self_trade="decrement"))
    content = BookDelta.objects.latest("seq").content
    assert (content["bids"], content["asks"]) == ([[405, 4, 1]], [[400, 0, 0]])
