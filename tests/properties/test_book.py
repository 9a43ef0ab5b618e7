"""The book against an oracle that keeps one list and sorts all of it for every match."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from exchange.matching.book import Book, Depth, DepthLevel
from exchange.matching.engine import apply, close_book, restore
from exchange.matching.events import (
    CloseReason,
    Event,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderRejected,
    OrderRested,
    RejectReason,
)
from exchange.matching.invariants import check_book
from exchange.matching.types import (
    CancelOrder,
    Command,
    ContractId,
    LimitOrder,
    Lots,
    OrderId,
    PartyId,
    PriceTicks,
    Side,
    TimeInForce,
)

CONTRACT = ContractId(7)


@dataclass
class SortEverything:
    """Price-time priority in the plainest words: a list in order of arrival, sorted anew for every match."""

    resting: list[LimitOrder] = field(default_factory=list)

    def apply(self, command: Command) -> tuple[Event, ...]:
        return tuple(self._cancel(command) if isinstance(command, CancelOrder) else self._place(command))

    def ranked(self, side: Side) -> list[LimitOrder]:
        sign = -1 if side is Side.BUY else 1
        mine = [order for order in self.resting if order.side is side]
        return sorted(mine, key=lambda order: (sign * order.price_ticks, self.resting.index(order)))

    def _cancel(self, command: CancelOrder) -> list[Event]:
        for order in self.resting:
            if order.order_id == command.order_id:
                self.resting.remove(order)
                return [OrderClosed(order.order_id, CloseReason.CANCELLED, order.lots)]
        return [OrderRejected(command.order_id, RejectReason.UNKNOWN_ORDER)]

    def _place(self, order: LimitOrder) -> list[Event]:
        events: list[Event] = [OrderAccepted(order.order_id, order.lots)]
        left = order.lots
        for maker in self.ranked(order.side.opposite):
            better = (
                maker.price_ticks - order.price_ticks
                if order.side is Side.SELL
                else (order.price_ticks - maker.price_ticks)
            )
            if better < 0 or not left:
                break
            if maker.party_id == order.party_id:
                return [*events, OrderClosed(order.order_id, CloseReason.SELF_TRADE, left)]
            lots = Lots(min(left, maker.lots))
            left = Lots(left - lots)
            rest = replace(maker, lots=Lots(maker.lots - lots))
            events.append(
                OrderFilled(order.order_id, maker.order_id, order.side, maker.price_ticks, lots, left, rest.lots)
            )
            at = self.resting.index(maker)
            self.resting[at : at + 1] = [rest] if rest.lots else []
            if not rest.lots:
                events.append(OrderClosed(maker.order_id, CloseReason.FILLED, Lots(0)))
        if not left:
            return [*events, OrderClosed(order.order_id, CloseReason.FILLED, left)]
        if order.time_in_force is TimeInForce.IOC:
            return [*events, OrderClosed(order.order_id, CloseReason.IOC_REMAINDER, left)]
        self.resting.append(replace(order, lots=left))
        return [*events, OrderRested(order.order_id, left)]

    def depth(self) -> Depth:
        return Depth(bids=self._levels(Side.BUY), asks=self._levels(Side.SELL))

    def _levels(self, side: Side) -> tuple[DepthLevel, ...]:
        ranked = self.ranked(side)
        prices = dict.fromkeys(order.price_ticks for order in ranked)
        lots = {price: [order.lots for order in ranked if order.price_ticks == price] for price in prices}
        return tuple(DepthLevel(price, Lots(sum(lots[price])), len(lots[price])) for price in prices)


@st.composite
def flows(draw: st.DrawFn) -> list[Command]:
    """Orders with ids in order of arrival, few prices and parties so that they meet, and cancels of any of them."""
    commands: list[Command] = []
    for number in range(1, draw(st.integers(1, 40)) + 1):
        if draw(st.integers(0, 3)) == 0:
            commands.append(CancelOrder(OrderId(draw(st.integers(1, number))), CONTRACT))
            continue
        commands.append(
            LimitOrder(
                order_id=OrderId(number),
                contract_id=CONTRACT,
                party_id=PartyId(draw(st.integers(1, 5))),
                side=draw(st.sampled_from(Side)),
                price_ticks=PriceTicks(draw(st.integers(1, 6))),
                lots=Lots(draw(st.integers(1, 9))),
                time_in_force=draw(st.sampled_from([TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC])),
            )
        )
    return commands


@given(flows())
def test_the_book_does_what_sorting_everything_does(commands: list[Command]) -> None:
    book, oracle = Book(CONTRACT), SortEverything()
    for command in commands:
        assert apply(book, command) == oracle.apply(command)
        check_book(book)
        assert book.depth(len(commands)) == oracle.depth()


@given(flows())
def test_the_same_commands_give_the_same_events(commands: list[Command]) -> None:
    one, other = Book(CONTRACT), Book(CONTRACT)
    assert [apply(one, command) for command in commands] == [apply(other, command) for command in commands]


@given(flows(), st.data())
def test_a_book_rebuilt_from_its_open_orders_goes_on_in_the_same_way(
    commands: list[Command], data: st.DataObject
) -> None:
    crash_at = data.draw(st.integers(0, len(commands)))
    book = Book(CONTRACT)
    for command in commands[:crash_at]:
        apply(book, command)
    by_arrival = sorted(book.in_priority(), key=lambda order: order.order_id)
    rebuilt = restore(CONTRACT, by_arrival)
    check_book(rebuilt)
    assert list(rebuilt.in_priority()) == list(book.in_priority())
    for command in commands[crash_at:]:
        assert apply(rebuilt, command) == apply(book, command)
    assert close_book(rebuilt) == close_book(book)


@given(flows())
def test_every_lot_of_every_order_is_accounted_for(commands: list[Command]) -> None:
    """Placed = filled + unfilled at closing, for each order, and nobody trades with itself."""
    book = Book(CONTRACT)
    events = [event for command in commands for event in apply(book, command)] + list(close_book(book))
    placed = {each.order_id: each for each in commands if isinstance(each, LimitOrder)}
    left = {order_id: int(each.lots) for order_id, each in placed.items()}
    for event in events:
        match event:
            case OrderFilled():
                assert placed[event.taker_id].party_id != placed[event.maker_id].party_id
                left[event.taker_id] -= event.lots
                left[event.maker_id] -= event.lots
                assert (left[event.taker_id], left[event.maker_id]) == (event.taker_lots_left, event.maker_lots_left)
            case OrderClosed():
                assert left.pop(event.order_id) == event.lots_unfilled
            case _:
                pass
    assert not left
