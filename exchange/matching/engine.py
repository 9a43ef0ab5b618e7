"""Price-time matching: each function applies one command to a book and tells what happened.

Rejections are events. What raises (`BrokenInvariant`) is a caller that broke the contract: a foreign or repeated
order, or a quantity or price that validation should have stopped.
"""

from __future__ import annotations

from collections.abc import Iterable

from exchange.matching.book import Book
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
from exchange.matching.types import (
    BrokenInvariant,
    CancelOrder,
    Command,
    ContractId,
    LimitOrder,
    Lots,
    OrderId,
    PriceTicks,
    Side,
    TimeInForce,
)


def apply(book: Book, command: Command) -> tuple[Event, ...]:
    """Run one command of any kind."""
    match command:
        case LimitOrder():
            return place(book, command)
        case CancelOrder():
            if command.contract_id != book.contract_id:
                raise BrokenInvariant(f"A cancel for contract {command.contract_id} reached {book.contract_id}.")
            return cancel(book, command.order_id)


def place(book: Book, order: LimitOrder) -> tuple[Event, ...]:
    """Match an order against the other side, best price first and oldest first, at the price of the resting order.

    Then what is left rests or is closed, as its time in force says.
    """
    _require_placeable(book, order)
    events: list[Event] = [OrderAccepted(order.order_id, order.lots)]
    left, close_reason = _match(book, order, events)
    if close_reason is not None:
        events.append(OrderClosed(order.order_id, close_reason, left))
    else:
        book.rest(order, left)
        events.append(OrderRested(order.order_id, left))
    return tuple(events)


def cancel(book: Book, order_id: OrderId) -> tuple[Event, ...]:
    """Take an order out of the book; `unknown_order` when it is not there. Whose it is, the caller has checked."""
    resting = book.resting.get(order_id)
    if resting is None:
        return (OrderRejected(order_id, RejectReason.UNKNOWN_ORDER),)
    book.remove(resting)
    return (OrderClosed(order_id, CloseReason.CANCELLED, resting.lots),)


def close_book(book: Book) -> tuple[Event, ...]:
    """The gate closes: every order goes, bids then asks, each in priority order."""
    closing = tuple(book.in_priority())
    for order in closing:
        book.remove(book.resting[order.order_id])
    return tuple(OrderClosed(order.order_id, CloseReason.GATE_CLOSED, order.lots) for order in closing)


def restore(contract_id: ContractId, orders: Iterable[LimitOrder]) -> Book:
    """A book of open orders, given oldest first at each price, with the lots they still want.

    Nothing trades: a crossed result means that what was stored is wrong, and raises.
    """
    book = Book(contract_id)
    for order in orders:
        _require_placeable(book, order)
        book.rest(order, order.lots)
    bid, ask = book.best_price(Side.BUY), book.best_price(Side.SELL)
    if bid is not None and ask is not None and bid >= ask:
        raise BrokenInvariant(f"The restored book of contract {contract_id} is crossed: {bid} bid, {ask} asked.")
    return book


def _match(book: Book, order: LimitOrder, events: list[Event]) -> tuple[Lots, CloseReason | None]:
    """Fill what can be filled; the lots left, and why the order is over (None: it may rest)."""
    makers = book.sides[order.side.opposite]
    left = order.lots
    while left:
        maker = makers.best_order()
        if maker is None or not _crosses(order, maker.order.price_ticks):
            return left, CloseReason.IOC_REMAINDER if order.time_in_force is TimeInForce.IOC else None
        if maker.order.party_id == order.party_id:
            return left, CloseReason.SELF_TRADE
        lots = min(left, maker.lots)
        left = Lots(left - lots)
        book.fill(maker, lots)
        maker_id, price_ticks = maker.order.order_id, maker.order.price_ticks
        events.append(OrderFilled(order.order_id, maker_id, order.side, price_ticks, lots, left, maker.lots))
        if not maker.lots:
            events.append(OrderClosed(maker_id, CloseReason.FILLED, Lots(0)))
    return left, CloseReason.FILLED


def _crosses(order: LimitOrder, maker_price_ticks: PriceTicks) -> bool:
    if order.side is Side.BUY:
        return maker_price_ticks <= order.price_ticks
    return maker_price_ticks >= order.price_ticks


def _require_placeable(book: Book, order: LimitOrder) -> None:
    if order.contract_id != book.contract_id:
        raise BrokenInvariant(f"Order {order.order_id} of contract {order.contract_id} reached {book.contract_id}.")
    if order.order_id in book:
        raise BrokenInvariant(f"Order {order.order_id} is already in the book.")
    if order.lots < 1 or order.price_ticks < 1:
        raise BrokenInvariant(f"Order {order.order_id} has {order.lots} lots at {order.price_ticks} ticks.")
