"""From the events of a match to fills, holds and the batch's transaction."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

import pytest
from msgspec.structs import replace

from exchange.clearing import amounts
from exchange.clearing.drafts import draft_batch, fill_legs
from exchange.clearing.fills import Cleared, FillRecord, clear
from exchange.matching.book import Book
from exchange.matching.engine import amend, cancel, close_book, place
from exchange.matching.events import Event
from exchange.matching.types import (
    AmendOrder,
    ContractId,
    Lots,
    OrderId,
    OrderType,
    PostOnly,
    PriceTicks,
    SelfTrade,
    Side,
    TickLots,
    TimeInForce,
)
from ledger.chart import AccountKey, Role
from ledger.drafts import HoldChange, Leg
from tests.unit.exchange.terms import HOUSE, TERMS, order, terms

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
BUYER, PROVIDER = 5, 6
BUYER_CASH, PROVIDER_CASH = TERMS.cash(BUYER), TERMS.cash(PROVIDER)
OBLIGATION = TERMS.obligation(PROVIDER)


def cleared(events: tuple[Event, ...]) -> Cleared:
    return clear(TERMS, events, fill_ids=count(100), trade_nos=count(1))


def held(result: Cleared) -> dict[AccountKey, int]:
    return {hold.account: hold.delta for hold in result.holds}


def test_accounts_are_the_charts() -> None:
    assert TERMS.escrow(HOUSE) == AccountKey(HOUSE, 9, Role.ESCROW, TERMS.symbol)
    assert TERMS.fees(HOUSE) == AccountKey(HOUSE, 9, Role.FEES)
    assert TERMS.entitlement(BUYER) == AccountKey(BUYER, 70, Role.ENTITLEMENT)


def test_a_resting_order_holds_until_it_is_cancelled() -> None:
    book, sell = Book(TERMS.contract_id), order(1, PROVIDER, Side.SELL, 400, 3)
    expected = {PROVIDER_CASH: 1_500_000, OBLIGATION: 300_000}
    assert held(cleared(place(book, sell))) == expected
    assert held(cleared(cancel(book, sell.order_id))) == {account: -amount for account, amount in expected.items()}
    assert cleared(cancel(book, sell.order_id)) == Cleared((), ())


def test_a_fill_below_the_limit_releases_what_it_saved() -> None:
    book = Book(TERMS.contract_id)
    place(book, order(1, PROVIDER, Side.SELL, 400, 3))
    result = cleared(place(book, order(2, BUYER, Side.BUY, 420, 2, overage_permille=100)))
    (fill,) = result.fills
    assert (fill.fill_id, fill.trade_no, fill.taker_side, fill.price_ticks, fill.lots) == (100, 1, Side.BUY, 400, 2)
    assert (fill.buy_order_id, fill.sell_order_id, fill.buyer_id, fill.provider_id) == (2, 1, BUYER, PROVIDER)
    assert (fill.tokens, fill.notional_micros, fill.buyer_fee_micros) == (200_000, 800_000, 1_600)
    assert (fill.buyer_fee_ppm, fill.provider_fee_ppm) == (2_000, 3_000)
    assert (fill.bond_micros, fill.overage_tokens, fill.overage_hold_micros) == (1_000_000, 20_000, 200_400)
    # The taker held nothing before: only its overage stays. The bond stays held, now for the position.
    assert held(result) == {BUYER_CASH: 200_400, OBLIGATION: -200_000}
    assert fill_legs(TERMS, fill) == (
        Leg(BUYER_CASH, -801_600, "100"),
        Leg(OBLIGATION, -200_000, "100"),
        Leg(TERMS.entitlement(BUYER), 200_000, "100"),
    )


def test_a_resting_buy_order_is_filled_by_a_seller() -> None:
    book = Book(TERMS.contract_id)
    place(book, order(1, BUYER, Side.BUY, 420, 2))
    result = cleared(place(book, order(2, PROVIDER, Side.SELL, 400, 5, tif=TimeInForce.IOC)))
    assert (result.fills[0].price_ticks, result.fills[0].taker_side, result.fills[0].buyer_id) == (420, "sell", BUYER)
    assert held(result) == {BUYER_CASH: -841_680, PROVIDER_CASH: 1_000_000}


@pytest.mark.parametrize("buyer_takes", [True, False])
def test_each_side_pays_the_rate_of_its_role(buyer_takes: bool) -> None:
    buy = order(1 + buyer_takes, BUYER, Side.BUY, 400, 1, maker_fee_ppm=500, taker_fee_ppm=1_000)
    sell = order(2 - buyer_takes, PROVIDER, Side.SELL, 400, 1, maker_fee_ppm=0, taker_fee_ppm=2_500)
    book = Book(TERMS.contract_id)
    place(book, sell if buyer_takes else buy)
    (fill,) = cleared(place(book, buy if buyer_takes else sell)).fills
    rates = (1_000, 400, 0) if buyer_takes else (500, 200, 2_500)
    assert (fill.buyer_fee_ppm, fill.buyer_fee_micros, fill.provider_fee_ppm) == rates


def test_an_amendment_holds_what_it_now_asks_for() -> None:
    book = Book(TERMS.contract_id)
    place(book, order(1, BUYER, Side.BUY, 420, 2))
    amended = amend(book, AmendOrder(OrderId(1), TERMS.contract_id, PriceTicks(400), Lots(3)))
    assert held(cleared(amended)) == {BUYER_CASH: (1_200_000 + 2_400) - (840_000 + 1_680)}
    to_nothing = amend(book, AmendOrder(OrderId(1), TERMS.contract_id, PriceTicks(500), Lots(0)))
    assert held(cleared(to_nothing)) == {BUYER_CASH: -(1_200_000 + 2_400)}


def test_an_amendment_that_trades_releases_what_it_spends() -> None:
    book = Book(TERMS.contract_id)
    place(book, order(1, BUYER, Side.BUY, 390, 2))
    place(book, order(2, PROVIDER, Side.SELL, 400, 2))
    result = cleared(amend(book, AmendOrder(OrderId(1), TERMS.contract_id, PriceTicks(410), Lots(2))))
    assert [(fill.price_ticks, fill.taker_side, fill.buyer_fee_micros) for fill in result.fills] == [
        (400, "buy", 1_600)
    ]
    assert held(result) == {BUYER_CASH: -(780_000 + 1_560), OBLIGATION: -200_000}


def test_a_repriced_post_only_order_holds_at_its_new_price() -> None:
    book = Book(TERMS.contract_id)
    place(book, order(1, PROVIDER, Side.SELL, 400, 1))
    buy = order(2, BUYER, Side.BUY, 450, 1, post_only=PostOnly.REPRICE)
    assert held(cleared(place(book, buy))) == {BUYER_CASH: 399_000 + 798}
    assert amounts.required_holds(TERMS, buy)[0].delta == 450_000 + 900


def test_a_lowered_order_releases_what_it_lost() -> None:
    book = Book(TERMS.contract_id)
    place(book, order(1, PROVIDER, Side.SELL, 400, 5))
    buy = order(2, PROVIDER, Side.BUY, 400, 2, self_trade=SelfTrade.DECREMENT)
    assert held(cleared(place(book, buy))) == {PROVIDER_CASH: -1_000_000, OBLIGATION: -200_000}


def test_an_order_by_budget_holds_it_until_it_is_over() -> None:
    """1,000 ticks times lots are 1,000,000 micros; it buys 2 lots for 400 each and keeps 200."""
    book = Book(TERMS.contract_id)
    place(book, order(1, PROVIDER, Side.SELL, 400, 5))
    buy = replace(
        order(2, BUYER, Side.BUY, 500, 1_000, tif=TimeInForce.IOC, taker_fee_ppm=1_000),
        order_type=OrderType.MARKET,
        budget=TickLots(1_000),
    )
    assert amounts.required_holds(TERMS, buy) == (HoldChange(BUYER_CASH, 1_001_000),)
    events = place(book, buy)
    assert held(cleared(events[:1])) == {BUYER_CASH: 1_001_000}
    assert held(cleared(events)) == {OBLIGATION: -200_000}
    assert [(fill.lots, fill.buyer_fee_micros) for fill in cleared(events).fills] == [(2, 800)]
    assert amounts.buyer_hold(TERMS, replace(buy, lots=Lots(2)), 2) == 1_000_000 + 2_000 - 1_000


def test_gate_closure_releases_all() -> None:
    book, orders = Book(TERMS.contract_id), [order(1, BUYER, Side.BUY, 10, 1), order(2, PROVIDER, Side.SELL, 20, 1)]
    placed = [held(cleared(place(book, each))) for each in orders]
    released = held(cleared(close_book(book)))
    assert {account: -amount for account, amount in released.items()} == placed[0] | placed[1]


def test_a_batch_is_one_transaction_with_house_legs_by_contract() -> None:
    other = terms(contract_id=ContractId(8), asset_id=80, symbol="OTHER", buyer_fee_ppm=0)
    all_terms = {TERMS.contract_id: TERMS, other.contract_id: other}
    fill_ids = count(100)
    fills: list[FillRecord] = []
    holds: list[HoldChange] = []
    for each in (other, TERMS):
        book = Book(each.contract_id)
        numbers = count(1)
        for number, party, side, lots in [
            (1, PROVIDER, Side.SELL, 1),
            (2, PROVIDER, Side.SELL, 1),
            (3, BUYER, Side.BUY, 2),
        ]:
            rate = each.buyer_fee_ppm if side is Side.BUY else each.provider_fee_ppm
            new = order(number, party, side, 400, lots, contract=each.contract_id, taker_fee_ppm=rate)
            result = clear(each, place(book, new), fill_ids=fill_ids, trade_nos=numbers)
            fills += result.fills
            holds += result.holds
    draft = draft_batch(all_terms, fills, holds, house_id=HOUSE, reference="12", now=NOW)
    assert draft is not None
    assert (draft.kind, draft.source, draft.reference, draft.effective_at) == ("clearing", "sequencer", "12", NOW)
    assert [leg.ref for leg in draft.legs] == [str(number) for number in (100, 101, 102, 103) for _ in range(3)] + [
        ""
    ] * 3
    assert draft.legs[-3:] == (
        Leg(TERMS.escrow(HOUSE), 800_000),
        Leg(TERMS.fees(HOUSE), 1_600),
        Leg(other.escrow(HOUSE), 800_000),
    )
    assert draft.holds == (HoldChange(PROVIDER_CASH, 2_000_000),)


def test_a_batch_that_moves_nothing_has_no_transaction() -> None:
    moves = [HoldChange(BUYER_CASH, 5), HoldChange(BUYER_CASH, -5)]
    assert draft_batch({}, [], moves, house_id=HOUSE, reference="1", now=NOW) is None
    only_holds = draft_batch({}, [], moves[:1], house_id=HOUSE, reference="1", now=NOW)
    assert only_holds is not None
    assert (only_holds.legs, only_holds.holds) == ((), (HoldChange(BUYER_CASH, 5),))
