"""From offer and order to fills, ledger entries and results, one transaction a batch."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from exchange.commands.amend_order import AmendOrder, amend_order
from exchange.commands.cancel_order import CancelOrder, cancel_order
from exchange.commands.halt_contract import HaltContract, ResumeContract, halt_contract, resume_contract
from exchange.errors import (
    ClientOrderIdConflict,
    ContractClosed,
    ContractHalted,
    ContractNotOpen,
    InvalidOrder,
    InvalidQuantity,
    OrderNotFound,
    PriceOutOfBand,
    UnknownContract,
)
from exchange.matching.types import OrderType, Side, TimeInForce
from exchange.models import ContractMarket, Fill, Intake, Order, SequencerBatch, TradeGroup
from exchange.selectors.market import get_book, list_trades
from exchange.selectors.orders import get_order, list_fills
from ledger.chart import AccountKey, Role
from ledger.errors import DomainError
from ledger.journal import set_flags
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.market import ACTOR, LOT, NOW, SYMBOL, Market


def test_an_order_that_crosses_an_offer_trades_at_the_offers_price(market: Market) -> None:
    buyer = market.party("buyer-1")
    assert market.offer(10, 400)["order_status"] == "open"
    result = market.buy(buyer, 3, 420)
    assert (result["status"], result["order_status"], result["filled_lots"]) == ("accepted", "filled", 3)
    (fill,) = Fill.objects.all()
    assert (fill.price_ticks, fill.lots, fill.tokens, fill.notional) == (400, 3, 3 * LOT, 1_200_000)
    assert (market.cash(buyer).balance, market.cash(buyer).held) == (100_000_000 - 1_200_000 - 2_400, 0)
    assert market.tokens(buyer, Role.ENTITLEMENT).balance == 3 * LOT
    obligation = market.tokens(market.provider, Role.OBLIGATION)
    assert (obligation.balance, obligation.held) == (-3 * LOT, 7 * LOT)
    assert market.cash(market.provider).held == 10_000_000
    check_exchange()


def test_best_price_trades_first_and_then_the_oldest(market: Market) -> None:
    buyer = market.party("buyer-1")
    dear, early, late = (market.offer(2, price)["order_id"] for price in (410, 400, 400))
    assert market.buy(buyer, 5, 410)["filled_lots"] == 5
    assert [fill.sell_order_id for fill in Fill.objects.order_by("id")] == [early, late, dear]
    assert [trade.trade_no for trade in list_trades(SYMBOL)] == [3, 2, 1]
    assert get_order(market.provider.id, dear).remaining_lots == 1
    check_exchange()


def test_what_an_ioc_order_does_not_get_at_once_is_cancelled(market: Market) -> None:
    buyer = market.party("buyer-1")
    market.offer(2, 400)
    result = market.buy(buyer, 5, 400, time_in_force=TimeInForce.IOC)
    assert (result["order_status"], result["close_reason"], result["remaining_lots"]) == (
        "cancelled",
        "ioc_remainder",
        3,
    )
    assert market.cash(buyer).held == 0
    check_exchange()


def test_a_cancel_releases_what_the_order_held(market: Market) -> None:
    buyer = market.party("buyer-1")
    order_id = market.buy(buyer, 5, 400)["order_id"]
    assert market.cash(buyer).held == 2_004_000
    cancel = cancel_order(CancelOrder(buyer.id, order_id), actor=ACTOR, now=NOW)
    again = cancel_order(CancelOrder(buyer.id, order_id), actor=ACTOR, now=NOW)
    done, refused = market.results([cancel.seq, again.seq])
    assert (done["order_status"], done["cancelled_lots"]) == ("cancelled", 5)
    assert (refused["status"], refused["code"]) == ("refused", "order_not_open")
    assert market.cash(buyer).held == 0
    check_exchange()


@pytest.mark.parametrize("mine", [True, False])
def test_only_an_own_order_can_be_cancelled(market: Market, mine: bool) -> None:
    owner, other = market.party("buyer-1"), market.party("buyer-2")
    order_id = market.buy(owner, 1, 400)["order_id"]
    command = CancelOrder(owner.id, order_id + 1) if mine else CancelOrder(other.id, order_id)
    with pytest.raises(OrderNotFound):
        cancel_order(command, actor=ACTOR, now=NOW)
    assert get_book(SYMBOL).bids[0].lots == 1


def test_orders_of_one_batch_share_what_a_buyer_has(market: Market) -> None:
    buyer = market.party("buyer-1", micros=3_000_000)
    seqs = [market.submit_buy(buyer, 5, 400), market.submit_buy(buyer, 5, 400), market.submit_buy(buyer, 2, 400)]
    first, second, third = market.results(seqs)
    assert [first["status"], second["status"], third["status"]] == ["accepted", "refused", "accepted"]
    assert (second["code"], second["fields"]) == (
        "insufficient_funds",
        {"required": "2.004000", "available": "0.996000"},
    )
    assert Order.objects.get(id=seqs[1]).status == "rejected"
    assert SequencerBatch.objects.latest("no").first_seq == seqs[0]
    check_exchange()


def test_a_party_that_never_had_money_is_refused(market: Market) -> None:
    result = market.buy(market.party("buyer-1", micros=0), 1, 400)
    assert (result["code"], result["fields"]["available"]) == ("insufficient_funds", "0.000000")


def test_more_than_the_allocated_capacity_is_refused(market: Market) -> None:
    assert market.offer(360, 400)["status"] == "accepted"
    result = market.offer(1, 400)
    assert (result["code"], result["fields"]) == ("capacity_exceeded", {"required": "100000", "available": "0"})
    check_exchange()


def test_a_provider_needs_money_for_its_bond(market: Market) -> None:
    market.declare(100_000)
    result = market.offer(1_001, 400)
    assert (result["code"], result["fields"]["required"]) == ("insufficient_funds", "1001.000000")


def test_a_party_does_not_trade_with_itself(market: Market) -> None:
    market.offer(5, 400)
    result = market.buy(market.provider, 2, 400)
    assert (result["order_status"], result["close_reason"], result["filled_lots"]) == ("cancelled", "self_trade", 0)
    assert not Fill.objects.exists()
    check_exchange()


def test_a_frozen_party_places_nothing_but_its_orders_still_trade(market: Market) -> None:
    buyer = market.party("buyer-1")
    market.buy(buyer, 3, 400)
    with transaction.atomic():
        key = AccountKey(buyer.id, market.currency.id, Role.CASH)
        set_flags(key, frozen=True, closed=False, actor=ACTOR, reason="test", now=NOW)
    assert market.buy(buyer, 1, 400)["code"] == "account_frozen"
    assert market.offer(2, 390)["filled_lots"] == 2
    check_exchange()


def test_overage_is_held_for_the_position(market: Market) -> None:
    buyer = market.party("buyer-1")
    market.offer(10, 400)
    market.buy(buyer, 4, 400, overage_permille=250)
    (fill,) = Fill.objects.all()
    assert (fill.overage_tokens, fill.overage_hold) == (LOT, 4 * 250_500)
    assert market.cash(buyer).held == fill.overage_hold
    check_exchange()


def test_a_repeat_gets_the_first_answer_even_after_the_gate(market: Market) -> None:
    buyer = market.party("buyer-1")
    first = market.submit_buy(buyer, 1, 400, client_order_id="mine-1")
    market.results([first])
    market.clock.at = market.contract.gate_close
    market.sweep()
    assert market.submit_buy(buyer, 1, 400, client_order_id="mine-1") == first
    assert Intake.objects.filter(client_order_id="mine-1").count() == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lots": 2}, "lots"),
        ({"price_ticks": 401}, "price_ticks"),
        ({"overage_permille": 1}, "overage_permille"),
        ({"time_in_force": TimeInForce.IOC}, "time_in_force"),
    ],
)
def test_a_client_order_id_with_other_content_is_a_conflict(market: Market, change: dict[str, int], field: str) -> None:
    buyer = market.party("buyer-1")
    same = {"lots": 1, "price_ticks": 400}
    market.buy(buyer, **same, client_order_id="mine-1")
    with pytest.raises(ClientOrderIdConflict) as conflict:
        market.submit_buy(buyer, **(same | change), client_order_id="mine-1")
    assert conflict.value.fields["field"] == field
    assert Intake.objects.filter(party_id=buyer.id).count() == 1


def test_a_client_order_id_belongs_to_one_party_and_survives_a_refusal_of_the_book(market: Market) -> None:
    poor, rich = market.party("buyer-1", micros=1), market.party("buyer-2")
    refused = market.submit_buy(poor, 1, 400, client_order_id="mine-1")
    assert market.results([refused])[0]["code"] == "insufficient_funds"
    assert market.submit_buy(poor, 1, 400, client_order_id="mine-1") == refused
    assert market.buy(rich, 1, 400, client_order_id="mine-1")["status"] == "accepted"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"lots": 0}, InvalidQuantity),
        ({"lots": -1}, InvalidQuantity),
        ({"lots": 2**53}, InvalidQuantity),
        ({"price_ticks": 0}, PriceOutOfBand),
        ({"price_ticks": 1_001}, PriceOutOfBand),
        ({"overage_permille": 1_001}, InvalidOrder),
        ({"client_order_id": "with space"}, InvalidOrder),
        ({"client_order_id": ""}, InvalidOrder),
        ({"side": Side.SELL}, InvalidOrder),
        ({"symbol": "NOBODY@20261201T14/1H"}, UnknownContract),
    ],
)
def test_a_malformed_order_is_refused_and_claims_nothing(
    market: Market, change: dict[str, object], error: type[DomainError]
) -> None:
    buyer = market.party("buyer-1")
    order: dict[str, object] = {"lots": 1, "price_ticks": 400, "client_order_id": "mine-1"}
    before = Intake.objects.count()
    with pytest.raises(error):
        market.submit_buy(buyer, **(order | change))  # type: ignore[arg-type]
    assert Intake.objects.count() == before
    assert market.buy(buyer, 1, 400, client_order_id="mine-1")["status"] == "accepted"


def test_nothing_trades_before_the_gate_opens_nor_after_it_closes(market: Market) -> None:
    buyer = market.party("buyer-1")
    later = market.list_window(market.contract.delivery_end, gate_open=NOW + timedelta(hours=1))
    with pytest.raises(ContractNotOpen):
        market.submit_buy(buyer, 1, 400, symbol=later.symbol)
    market.clock.at = market.contract.gate_close
    with pytest.raises(ContractClosed):
        market.submit_buy(buyer, 1, 400)


def test_an_order_that_the_gate_overtakes_in_the_line_is_refused(market: Market) -> None:
    seq = market.submit_buy(market.party("buyer-1"), 1, 400)
    market.clock.at = market.contract.gate_close
    (result,) = market.results([seq])
    assert (result["code"], result["fields"]["gate_close"]) == ("contract_closed", "2026-12-01T13:30:00Z")


def test_a_halt_stops_orders_but_not_cancels(market: Market) -> None:
    buyer = market.party("buyer-1")
    standing = market.buy(buyer, 1, 400)["order_id"]
    overtaken = market.submit_buy(buyer, 1, 400)
    market.results([halt_contract(HaltContract(SYMBOL, "fat finger"), actor="operator", now=NOW).seq])
    assert market.results([overtaken])[0]["status"] == "accepted"
    with pytest.raises(ContractHalted):
        market.submit_buy(buyer, 1, 400)
    cancel = cancel_order(CancelOrder(buyer.id, standing), actor=ACTOR, now=NOW)
    assert market.results([cancel.seq])[0]["status"] == "accepted"
    market.results([resume_contract(ResumeContract(SYMBOL, "looked at"), actor="operator", now=NOW).seq])
    assert market.buy(buyer, 1, 400)["status"] == "accepted"
    again = resume_contract(ResumeContract(SYMBOL, "twice"), actor="operator", now=NOW)
    assert market.results([again.seq])[0]["code"] == "wrong_contract_state"
    with pytest.raises(InvalidOrder):
        halt_contract(HaltContract(SYMBOL, " "), actor="operator", now=NOW)


def test_the_book_shows_levels_without_names_and_a_rising_number(market: Market) -> None:
    buyers = [market.party(f"buyer-{i}") for i in range(3)]
    empty = get_book(SYMBOL)
    assert (empty.bids, empty.asks, empty.book_seq) == ((), (), 0)
    for buyer, price in zip(buyers, (390, 395, 390), strict=True):
        market.buy(buyer, 2, price)
    market.offer(4, 400)
    book = get_book(SYMBOL, depth=1)
    assert [(level.price_ticks, level.lots, level.orders) for level in book.bids] == [(395, 2, 1)]
    assert [(level.price_ticks, level.lots, level.orders) for level in get_book(SYMBOL).bids] == [
        (395, 2, 1),
        (390, 4, 2),
    ]
    assert [(level.price_ticks, level.lots) for level in book.asks] == [(400, 4)]
    assert book.book_seq == ContractMarket.objects.get(contract_id=market.contract.id).book_seq == 4


def test_each_side_sees_its_own_fill_and_not_the_other_party(market: Market) -> None:
    buyer = market.party("buyer-1")
    market.offer(1, 400)
    market.buy(buyer, 1, 400)
    (bought,), (sold,) = list_fills(buyer.id), list_fills(market.provider.id)
    assert (bought.side, bought.fee, sold.side, sold.fee) == (Side.BUY, 800, Side.SELL, 0)
    assert bought.id == sold.id
    assert bought.order_id != sold.order_id


def test_a_repeat_is_judged_by_what_was_asked_and_not_by_what_was_stamped(market: Market) -> None:
    buyer = market.party("buyer-1")
    budget: dict[str, Any] = {
        "order_type": OrderType.MARKET,
        "time_in_force": TimeInForce.IOC,
        "budget_micros": 999_999,
    }
    limit = market.submit_buy(buyer, 1, 400, client_order_id="limit")
    by_budget = market.submit_buy(buyer, None, None, client_order_id="budget", **budget)
    TradeGroup.objects.create(party=buyer, group_id=market.provider.id)
    assert market.submit_buy(buyer, 1, 400, client_order_id="limit") == limit
    assert market.submit_buy(buyer, None, None, client_order_id="budget", **budget) == by_budget
    assert Intake.objects.get(seq=limit).payload["group_id"] == buyer.id
    new = Intake.objects.get(seq=market.submit_buy(buyer, 1, 400))
    assert new.payload["group_id"] == market.provider.id


def test_parties_of_one_group_do_not_trade_with_each_other(market: Market) -> None:
    buyer = market.party("buyer-1")
    TradeGroup.objects.create(party=buyer, group_id=market.provider.id)
    market.offer(2, 400)
    result = market.buy(buyer, 2, 400)
    assert (result["order_status"], result["close_reason"]) == ("cancelled", "self_trade")
    assert not Fill.objects.exists()


def test_an_amendment_leaves_alone_what_it_does_not_name(market: Market) -> None:
    buyer = market.party("buyer-1")
    placed = market.submit_buy(buyer, 5, 400)
    first = amend_order(AmendOrder(buyer.id, placed, lots=4), actor=ACTOR, now=NOW)
    second = amend_order(AmendOrder(buyer.id, placed, price_ticks=390), actor=ACTOR, now=NOW)
    market.results([placed, first.seq, second.seq])
    standing = get_order(buyer.id, placed)
    assert (standing.price_ticks, standing.lots) == (390, 4)
    third = amend_order(AmendOrder(buyer.id, placed, lots=3), actor=ACTOR, now=NOW)
    market.results([third.seq])
    assert (get_order(buyer.id, placed).price_ticks, get_order(buyer.id, placed).lots) == (390, 3)
    check_exchange()


@pytest.mark.parametrize("mine", [True, False])
def test_only_an_own_order_can_be_amended(market: Market, mine: bool) -> None:
    owner, other = market.party("buyer-1"), market.party("buyer-2")
    order_id = market.buy(owner, 1, 400)["order_id"]
    command = AmendOrder(owner.id, order_id + 1, lots=1) if mine else AmendOrder(other.id, order_id, lots=1)
    with pytest.raises(OrderNotFound):
        amend_order(command, actor=ACTOR, now=NOW)
