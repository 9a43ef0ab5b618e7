"""From the events of a match to fills, holds and the batch's transaction."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

from exchange.clearing.drafts import draft_batch, fill_legs
from exchange.clearing.fills import Cleared, FillRecord, clear
from exchange.matching.book import Book
from exchange.matching.engine import cancel, close_book, place
from exchange.matching.events import Event
from exchange.matching.types import ContractId, LimitOrder, OrderId, Side, TimeInForce
from ledger.chart import AccountKey, Role
from ledger.drafts import HoldChange, Leg
from tests.unit.exchange.terms import HOUSE, TERMS, order, terms

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
BUYER, PROVIDER = 5, 6
BUYER_CASH, PROVIDER_CASH = TERMS.cash(BUYER), TERMS.cash(PROVIDER)
OBLIGATION = TERMS.obligation(PROVIDER)


def cleared(events: tuple[Event, ...], *orders: LimitOrder) -> Cleared:
    by_id = {each.order_id: each for each in orders}
    return clear(TERMS, events, by_id, fill_ids=count(100), trade_nos=count(1))


def test_accounts_are_the_charts() -> None:
    assert TERMS.escrow(HOUSE) == AccountKey(HOUSE, 9, Role.ESCROW, TERMS.symbol)
    assert TERMS.fees(HOUSE) == AccountKey(HOUSE, 9, Role.FEES)
    assert TERMS.entitlement(BUYER) == AccountKey(BUYER, 70, Role.ENTITLEMENT)


def test_a_resting_order_holds_until_it_is_cancelled() -> None:
    book, sell = Book(TERMS.contract_id), order(1, PROVIDER, Side.SELL, 400, 3)
    held = (HoldChange(PROVIDER_CASH, 1_500_000), HoldChange(OBLIGATION, 300_000))
    assert cleared(place(book, sell), sell) == Cleared((), held)
    released = tuple(HoldChange(hold.account, -hold.delta) for hold in held)
    assert cleared(cancel(book, sell.order_id), sell) == Cleared((), released)
    assert cleared(cancel(book, sell.order_id)) == Cleared((), ())


def test_a_fill_below_the_limit_releases_what_it_saved() -> None:
    book, sell = Book(TERMS.contract_id), order(1, PROVIDER, Side.SELL, 400, 3)
    buy = order(2, BUYER, Side.BUY, 420, 2, overage_permille=100)
    place(book, sell)
    result = cleared(place(book, buy), sell, buy)
    (fill,) = result.fills
    assert (fill.fill_id, fill.trade_no, fill.taker_side, fill.price_ticks, fill.lots) == (100, 1, Side.BUY, 400, 2)
    assert (fill.buy_order_id, fill.sell_order_id, fill.buyer_id, fill.provider_id) == (2, 1, BUYER, PROVIDER)
    assert (fill.tokens, fill.notional_micros, fill.buyer_fee_micros) == (200_000, 800_000, 1_600)
    assert (fill.buyer_fee_ppm, fill.provider_fee_ppm) == (2_000, 3_000)
    assert (fill.bond_micros, fill.overage_tokens, fill.overage_hold_micros) == (1_000_000, 20_000, 200_400)
    # The taker held nothing before: only its overage stays. The bond stays held, now for the position.
    assert result.holds == (HoldChange(BUYER_CASH, 200_400), HoldChange(OBLIGATION, -200_000))
    assert fill_legs(TERMS, fill) == (
        Leg(BUYER_CASH, -801_600, "100"),
        Leg(OBLIGATION, -200_000, "100"),
        Leg(TERMS.entitlement(BUYER), 200_000, "100"),
    )


def test_a_resting_buy_order_is_filled_by_a_seller() -> None:
    book, buy = Book(TERMS.contract_id), order(1, BUYER, Side.BUY, 420, 2)
    sell = order(2, PROVIDER, Side.SELL, 400, 5, tif=TimeInForce.IOC)
    place(book, buy)
    result = cleared(place(book, sell), buy, sell)
    assert (result.fills[0].price_ticks, result.fills[0].taker_side, result.fills[0].buyer_id) == (420, "sell", BUYER)
    assert result.holds == (HoldChange(BUYER_CASH, -841_680), HoldChange(PROVIDER_CASH, 1_000_000))


def test_gate_closure_releases_all() -> None:
    book, orders = Book(TERMS.contract_id), [order(1, BUYER, Side.BUY, 10, 1), order(2, PROVIDER, Side.SELL, 20, 1)]
    placed = [cleared(place(book, each), each).holds for each in orders]
    held = {hold.account: hold.delta for holds in placed for hold in holds}
    released = cleared(close_book(book), *orders).holds
    assert {hold.account: -hold.delta for hold in released} == held


def test_a_batch_is_one_transaction_with_house_legs_by_contract() -> None:
    other = terms(contract_id=ContractId(8), asset_id=80, symbol="OTHER", buyer_fee_ppm=0)
    all_terms = {TERMS.contract_id: TERMS, other.contract_id: other}
    fill_ids = count(100)
    fills: list[FillRecord] = []
    holds: list[HoldChange] = []
    for each in (other, TERMS):
        book = Book(each.contract_id)
        numbers = count(1)
        orders = {
            OrderId(number): order(number, party, side, 400, lots, contract=each.contract_id)
            for number, party, side, lots in [
                (1, PROVIDER, Side.SELL, 1),
                (2, PROVIDER, Side.SELL, 1),
                (3, BUYER, Side.BUY, 2),
            ]
        }
        for command in orders.values():
            result = clear(each, place(book, command), orders, fill_ids=fill_ids, trade_nos=numbers)
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
