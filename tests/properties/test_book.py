"""The book against an oracle that keeps one list and sorts all of it for every match."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.matching.book import Book
from exchange.matching.engine import apply, close_book, restore
from exchange.matching.events import (
    CloseReason,
    Event,
    MatchPrevented,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderFilled,
    OrderRejected,
    OrderRested,
)
from exchange.matching.invariants import check_book
from exchange.matching.types import Collar, Command, Order, OrderId, PostOnly, Side, TimeInForce
from tests.properties.order_flows import CONTRACT, PRICES, collars, flows
from tests.properties.sort_everything import SortEverything

collared = flows().flatmap(
    lambda commands: st.lists(collars, min_size=len(commands), max_size=len(commands)).map(
        lambda each: list(zip(commands, each, strict=True))
    )
)
Line = list[tuple[Command, Collar | None]]


@settings(max_examples=300)
@given(collared)
def test_the_book_does_what_sorting_everything_does(line: Line) -> None:
    book, oracle = Book(CONTRACT, PRICES), SortEverything(PRICES)
    for command, collar in line:
        assert apply(book, command, collar=collar) == oracle.apply(command, collar)
        check_book(book)
        assert book.depth(len(line)) == oracle.depth()


@given(collared)
def test_the_same_commands_give_the_same_events(line: Line) -> None:
    one, other = Book(CONTRACT, PRICES), Book(CONTRACT, PRICES)
    for command, collar in line:
        assert apply(one, command, collar=collar) == apply(other, command, collar=collar)


@given(collared, st.data())
def test_a_book_rebuilt_from_its_open_orders_goes_on_in_the_same_way(line: Line, data: st.DataObject) -> None:
    crash_at = data.draw(st.integers(0, len(line)))
    book = Book(CONTRACT, PRICES)
    for command, collar in line[:crash_at]:
        apply(book, command, collar=collar)
    by_price = sorted(book.in_priority(), key=lambda standing: standing[0].price_ticks)
    rebuilt = restore(CONTRACT, by_price, PRICES)
    check_book(rebuilt)
    assert list(rebuilt.in_priority()) == list(book.in_priority())
    for command, collar in line[crash_at:]:
        assert apply(rebuilt, command, collar=collar) == apply(book, command, collar=collar)
    assert close_book(rebuilt) == close_book(book)


@given(collared)
def test_what_is_refused_or_killed_leaves_the_book_as_it_was(line: Line) -> None:
    book = Book(CONTRACT, PRICES)
    for command, collar in line:
        before = list(book.in_priority())
        last = apply(book, command, collar=collar)[-1]
        killed = isinstance(last, OrderClosed) and last.reason is CloseReason.FOK_NOT_FILLED
        if isinstance(last, OrderRejected) or killed:
            assert list(book.in_priority()) == before


@given(collared)
def test_every_lot_of_every_order_is_accounted_for(line: Line) -> None:
    """Whole quantity = filled + still wanted, at every event about an order, until it is closed once."""
    book, filled = Book(CONTRACT, PRICES), Counter[OrderId]()
    open_orders: dict[OrderId, Order] = {}
    closed: set[OrderId] = set()
    events = [event for command, collar in line for event in apply(book, command, collar=collar)]
    for event in (*events, *close_book(book)):
        match event:
            case OrderAccepted(order, lots):
                assert lots == order.lots
                open_orders[order.order_id] = order
            case OrderFilled(taker, maker, _, lots, taker_left, maker_left):
                for order, left in ((taker, taker_left), (maker, maker_left)):
                    filled[order.order_id] += lots
                    assert filled[order.order_id] + left == order.lots
                    assert open_orders[order.order_id] == order
            case OrderAmended(before, after, lots_before, lots_after):
                assert open_orders[before.order_id] == before
                assert before.lots - lots_before == after.lots - lots_after == filled[before.order_id]
                open_orders[after.order_id] = after
            case OrderClosed(order, reason, left):
                assert open_orders.pop(order.order_id) == order
                assert filled[order.order_id] + left == order.lots
                assert (left == 0) is (reason is CloseReason.FILLED)
                assert order.order_id not in closed
                closed.add(order.order_id)
            case OrderRested(order, left):
                assert open_orders[order.order_id] == order
                assert filled[order.order_id] + left == order.lots
            case _:
                pass
    assert not open_orders


@given(collared)
def test_nobody_trades_against_a_wish(line: Line) -> None:
    """Not worse than its price or above its budget, not with its group, not outside the collar, not partly if whole."""
    book = Book(CONTRACT, PRICES)
    for command, collar in line:
        events = apply(book, command, collar=collar)
        fills = [event for event in events if isinstance(event, OrderFilled)]
        for fill in fills:
            buy, sell = (fill.taker, fill.maker) if fill.taker.side is Side.BUY else (fill.maker, fill.taker)
            assert sell.price_ticks <= fill.price_ticks == fill.maker.price_ticks <= buy.price_ticks
            assert buy.group_id != sell.group_id
            assert collar is None or fill.price_ticks in collar
            assert fill.taker.post_only is PostOnly.NO
        if isinstance(command, Order):
            bought = sum(fill.lots for fill in fills)
            assert command.time_in_force is not TimeInForce.FOK or bought in (0, command.lots)
            assert command.budget is None or sum(fill.lots * fill.price_ticks for fill in fills) <= command.budget
            assert command.may_rest or command.order_id not in book
        _check_prevented(events)


def _check_prevented(events: tuple[Event, ...]) -> None:
    """A prevented match is within a group, and does what the newer order wished."""
    for place, event in enumerate(events):
        if isinstance(event, MatchPrevented):
            assert event.taker.group_id == event.maker.group_id
            assert event.how is event.taker.self_trade
            assert isinstance(events[place + 1], OrderClosed | OrderAmended)
