"""Every kind of command about orders, through the line, the sequencer and the ledger."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from exchange.models import ContractState, IntakeKind, Order, PreventedMatch
from ledger.models import PartyKind
from tests.audits import audit, found_by
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.commands import about, decided, order, put, status_of
from tests.integration.exchange.market import NOW, START, Market

TICK = 1_000  # micros of a lot at one tick
AMEND, CANCEL, ALL = IntakeKind.AMEND_ORDER, IntakeKind.CANCEL_ORDER, IntakeKind.CANCEL_ALL


@pytest.fixture
def offered(market: Market) -> Market:
    """3 lots at 400 and 3 at 410 on offer."""
    market.offer(3, 400)
    market.offer(3, 410)
    return market


def test_a_market_order_takes_the_best_prices_up_to_its_cap_and_never_rests(offered: Market) -> None:
    buyer = offered.party("buyer-1")
    market = {"order_type": "market", "time_in_force": "ioc"}
    capped, whole = decided(
        offered, order(offered, buyer, "buy", 4, 405, **market), order(offered, buyer, "buy", 9, 1_000, **market)
    )
    assert [fill["price_ticks"] for fill in capped["fills"]] == [400]
    assert (capped["order_status"], capped["close_reason"]) == ("cancelled", "ioc_remainder")
    assert [(fill["price_ticks"], fill["lots"]) for fill in whole["fills"]] == [(410, 3)]
    assert offered.cash(buyer).held == 0
    check_exchange()


def test_a_market_order_by_budget_spends_no_more_than_it(offered: Market) -> None:
    buyer = offered.party("buyer-1")
    before = offered.cash(buyer).balance
    by_budget = {"order_type": "market", "time_in_force": "ioc", "budget": 5 * 405}  # 3 at 400, then 2 at 410 at most
    (answer,) = decided(offered, order(offered, buyer, "buy", 2_025, 1_000, **by_budget))
    assert [(fill["price_ticks"], fill["lots"]) for fill in answer["fills"]] == [(400, 3), (410, 2)]
    assert (answer["order_status"], answer["close_reason"]) == ("filled", "budget_spent")
    spent = before - offered.cash(buyer).balance
    assert spent == (3 * 400 + 2 * 410) * TICK + sum(fill["buyer_fee_micros"] for fill in answer["fills"])
    assert offered.cash(buyer).held == 0
    check_exchange()


def test_fill_or_kill_trades_whole_or_not_at_all(offered: Market) -> None:
    buyer = offered.party("buyer-1")
    killed, filled = decided(
        offered,
        order(offered, buyer, "buy", 7, 410, time_in_force="fok"),
        order(offered, buyer, "buy", 6, 410, time_in_force="fok"),
    )
    assert (killed["order_status"], killed["close_reason"], killed["fills"]) == ("cancelled", "fok_not_filled", [])
    assert (filled["order_status"], filled["filled_lots"]) == ("filled", 6)
    check_exchange()


def test_a_post_only_order_is_refused_or_moved_when_it_would_trade(offered: Market) -> None:
    buyer = offered.party("buyer-1")
    refused, moved, rests = decided(
        offered,
        order(offered, buyer, "buy", 1, 400, post_only="reject"),
        order(offered, buyer, "buy", 1, 405, post_only="reprice"),
        order(offered, buyer, "buy", 1, 399, post_only="reject"),
    )
    assert (refused["status"], refused["code"]) == ("refused", "post_only_would_trade")
    assert (moved["order_status"], moved["price_ticks"]) == ("open", 399)
    assert rests["order_status"] == "open"
    assert [row.price_ticks for row in Order.objects.filter(status="open", side="buy")] == [399, 399]
    assert status_of(Order.objects.get(close_reason="post_only_would_trade").id)[0] == "rejected"
    check_exchange()


@pytest.mark.parametrize(
    ("how", "newer", "older"),
    [
        ("cancel_newest", ("cancelled", "self_trade", 2), ("open", "", 3)),
        ("cancel_oldest", ("open", "", 2), ("cancelled", "self_trade", 3)),
        ("cancel_both", ("cancelled", "self_trade", 2), ("cancelled", "self_trade", 3)),
        ("decrement", ("cancelled", "self_trade", 2), ("open", "", 1)),
    ],
)
def test_orders_of_one_group_do_not_trade_with_each_other(market: Market, how: str, newer: Any, older: Any) -> None:
    buyer = market.party("buyer-1")
    sold, bought = (
        put(market, order(market, market.provider, "sell", 3, 400, group_id=market.provider.id)),
        put(market, order(market, buyer, "buy", 2, 400, group_id=market.provider.id, self_trade=how)),
    )
    market.results([sold, bought])
    assert (status_of(bought), status_of(sold)) == (newer, older)
    prevented = PreventedMatch.objects.get()
    assert (prevented.taker_order_id, prevented.maker_order_id, prevented.how) == (bought, sold, how)
    check_exchange()
    assert found_by(audit()) == {}


def test_a_smaller_amendment_keeps_its_place_and_another_loses_it(market: Market) -> None:
    first, second = market.party("buyer-1"), market.party("buyer-2")
    early, late = put(market, order(market, first, "buy", 5, 400)), put(market, order(market, second, "buy", 5, 400))
    (smaller,) = decided(market, about(market, AMEND, first, order_id=early, price_ticks=400, lots=4))
    assert (smaller["kept_place"], smaller["remaining_lots"]) == (True, 4)
    market.offer(1, 400)
    assert status_of(early)[2] == 3
    (larger,) = decided(market, about(market, AMEND, first, order_id=early, price_ticks=400, lots=6))
    assert (larger["kept_place"], larger["filled_lots"], larger["remaining_lots"]) == (False, 1, 5)
    market.offer(1, 400)
    assert (status_of(early)[2], status_of(late)[2]) == (5, 4)
    check_exchange()


def test_an_amended_price_may_trade(offered: Market) -> None:
    buyer = offered.party("buyer-1")
    resting = put(offered, order(offered, buyer, "buy", 5, 390))
    (answer,) = decided(offered, about(offered, AMEND, buyer, order_id=resting, price_ticks=400, lots=5))
    assert [(fill["price_ticks"], fill["lots"]) for fill in answer["fills"]] == [(400, 3)]
    row = Order.objects.get(id=resting)
    assert (row.status, row.price_ticks, row.remaining_lots) == ("open", 400, 2)
    assert row.priority > row.id
    check_exchange()


def test_an_amendment_to_what_is_filled_closes_the_order(offered: Market) -> None:
    buyer = offered.party("buyer-1")
    resting = put(offered, order(offered, buyer, "buy", 5, 400))
    (answer,) = decided(offered, about(offered, AMEND, buyer, order_id=resting, price_ticks=400, lots=3))
    assert answer["order_status"] == "cancelled"
    assert status_of(resting) == ("cancelled", "cancelled", 2)
    assert offered.cash(buyer).held == 0
    check_exchange()


def test_a_refused_amendment_changes_nothing(offered: Market) -> None:
    buyer = offered.party("buyer-1", micros=2_100_000)
    resting = put(offered, order(offered, buyer, "buy", 5, 390))
    offered.results([resting])
    held, row = offered.cash(buyer).held, Order.objects.filter(id=resting).values().get()
    too_dear = about(offered, AMEND, buyer, order_id=resting, price_ticks=390, lots=6)
    unknown = about(offered, AMEND, buyer, order_id=999_999, price_ticks=390, lots=6)
    answers = decided(offered, too_dear, unknown)
    assert [answer["code"] for answer in answers] == ["insufficient_funds", "order_not_open"]
    assert offered.cash(buyer).held == held
    assert Order.objects.filter(id=resting).values().get() == row
    check_exchange()


def test_a_post_only_order_stays_post_only_when_it_is_amended(offered: Market) -> None:
    buyer = offered.party("buyer-1")
    resting = put(offered, order(offered, buyer, "buy", 1, 390, post_only="reject"))
    (answer,) = decided(offered, about(offered, AMEND, buyer, order_id=resting, price_ticks=400, lots=1))
    assert answer["code"] == "post_only_would_trade"
    assert Order.objects.get(id=resting).price_ticks == 390
    check_exchange()


def test_while_trading_is_suspended_orders_can_only_be_lowered(market: Market) -> None:
    buyer = market.party("buyer-1")
    resting = put(market, order(market, buyer, "buy", 5, 390))
    market.results([resting])
    halt = about(market, IntakeKind.HALT, buyer, market.contract, reason="a test")
    _, lowered, raised = decided(
        market,
        halt,
        about(market, AMEND, buyer, order_id=resting, price_ticks=390, lots=4),
        about(market, AMEND, buyer, order_id=resting, price_ticks=391, lots=4),
    )
    assert lowered["remaining_lots"] == 4
    assert raised["code"] == "contract_halted"
    check_exchange()


def test_all_orders_of_a_party_go_also_those_placed_just_before(market: Market) -> None:
    other = market.list_window(START + timedelta(hours=1))
    market.sweep()
    buyer, bystander = market.party("buyer-1"), market.party("buyer-2")
    first = [put(market, order(market, buyer, "buy", 1, price)) for price in (390, 391)]
    market.results(first)
    kept = put(market, order(market, bystander, "buy", 1, 390))
    later = [put(market, order(market, buyer, "buy", 1, 392, contract=each)) for each in (market.contract, other)]
    one, rest, none = decided(
        market, about(market, ALL, buyer, other), about(market, ALL, buyer), about(market, ALL, buyer)
    )
    assert one["order_ids"] == [later[1]]
    assert rest["order_ids"] == [*first, later[0]]
    assert none["cancelled_orders"] == 0
    assert {status_of(each)[:2] for each in [*first, *later]} == {("cancelled", "cancelled")}
    assert status_of(kept)[0] == "open"
    assert market.cash(buyer).held == 0
    check_exchange()


def test_a_collar_stops_the_order_and_halts_trading(market: Market) -> None:
    contract = market.list_window(START + timedelta(hours=1), collar_permille=50)  # 399 to 441 around the listing price
    market.sweep()
    buyer = market.party("buyer-1")
    cheap = [order(market, market.provider, "sell", 1, price, contract=contract) for price in (430, 441, 452, 500)]
    answers = decided(
        market,
        *cheap,
        order(market, buyer, "buy", 2, 500, contract=contract),  # the band moves with the last price: up to 463
        order(market, buyer, "buy", 2, 500, contract=contract),
        order(market, buyer, "buy", 1, 500, contract=contract),
    )
    assert [fill["price_ticks"] for fill in answers[4]["fills"]] == [430, 441]
    assert [fill["price_ticks"] for fill in answers[5]["fills"]] == [452]
    assert (answers[5]["order_status"], answers[5]["close_reason"]) == ("cancelled", "price_collar")
    assert answers[6]["code"] == "contract_halted"
    contract.refresh_from_db()
    assert contract.state == ContractState.HALTED
    assert found_by(audit()) == {}


def test_an_order_that_expired_before_its_turn_is_refused(market: Market) -> None:
    buyer = market.party("buyer-1")
    late = put(
        market,
        order(market, buyer, "buy", 1, 400, time_in_force="gtd", expires_at=(NOW + timedelta(seconds=5)).isoformat()),
    )
    market.clock.at = NOW + timedelta(seconds=5)
    (answer,) = market.results([late])
    assert (answer["status"], answer["code"]) == ("refused", "expiry_out_of_range")
    assert status_of(late)[:2] == ("rejected", "expiry_out_of_range")


def test_a_sellers_amendment_asks_for_capacity_and_qualification(market: Market) -> None:
    selling = put(market, order(market, market.provider, "sell", 300, 400))
    unqualified = market.party("provider-2", PartyKind.PROVIDER)
    larger = about(market, AMEND, market.provider, order_id=selling, price_ticks=400, lots=361)
    dearer = about(market, AMEND, market.provider, order_id=selling, price_ticks=401, lots=360)
    foreign = order(market, unqualified, "sell", 1, 400)
    too_much, moved, refused = decided(market, larger, dearer, foreign)
    assert too_much["code"] == "capacity_exceeded"
    assert (moved["remaining_lots"], moved["price_ticks"]) == (360, 401)
    assert refused["code"] == "not_qualified"
    check_exchange()
