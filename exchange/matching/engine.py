"""The commands of a book: each function applies one and tells what happened.

Rejections are events. What raises (`BrokenInvariant`) is a caller that broke the contract: a foreign or repeated
order, or a quantity, price or combination that validation should have stopped; the book is then as it was.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from exchange.matching.book import Book
from exchange.matching.crossing import can_trade_whole, trade
from exchange.matching.events import (
    CloseReason,
    Event,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderRejected,
    OrderRested,
    RejectReason,
)
from exchange.matching.types import (
    AmendOrder,
    BrokenInvariant,
    CancelOrder,
    Collar,
    Command,
    ContractId,
    Lots,
    Order,
    OrderId,
    PostOnly,
    PriceRange,
    PriceTicks,
    Side,
    TimeInForce,
)

_BUY, _NOT_POST_ONLY = Side.BUY, PostOnly.NO
_GTC, _FOK = TimeInForce.GTC, TimeInForce.FOK


def apply(book: Book, command: Command, *, collar: Collar | None = None) -> tuple[Event, ...]:
    """Run one command of any kind."""
    match command:
        case Order():
            return place(book, command, collar=collar)
        case AmendOrder():
            return amend(book, command, collar=collar)
        case CancelOrder():
            _require_contract(book, command)
            return cancel(book, command.order_id)


def place(book: Book, order: Order, *, collar: Collar | None = None) -> tuple[Event, ...]:
    """Match an order against the other side, best price first and oldest first, at the price of the resting order.

    Then what is left rests or is closed, as its type and time in force say. A trade outside the collar stops it.
    `would_trade` when it is post-only and cannot do without trading.
    """
    if order.order_id in book.resting or order.contract_id != book.contract_id:
        raise _misplaced(book, order)
    if order.post_only is not _NOT_POST_ONLY:
        resting_only = _short_of_trading(book, order)
        if resting_only is None:
            return (OrderRejected(order.order_id, RejectReason.WOULD_TRADE),)
        order = resting_only
    left = order.lots
    accepted = OrderAccepted(order, left)
    makers = book.asks if order.side is _BUY else book.bids
    keys = makers.keys
    if not keys or keys[-1] < order.price_ticks * makers.sign:  # it crosses nothing
        if order.time_in_force is _GTC or order.may_rest:
            book.rest(order, left)
            return (accepted, OrderRested(order, left))
        return (accepted, OrderClosed(order, _why_unfilled(order), left))
    if order.time_in_force is _FOK and not can_trade_whole(book, order, collar):
        return (accepted, OrderClosed(order, CloseReason.FOK_NOT_FILLED, left))
    events: list[Event] = [accepted]
    order, left, reason = trade(book, order, left, collar, events)
    if reason is None and order.may_rest:
        book.rest(order, left)
        events.append(OrderRested(order, left))
    else:
        events.append(OrderClosed(order, reason or _why_unfilled(order), left))
    return tuple(events)


def amend(book: Book, command: AmendOrder, *, collar: Collar | None = None) -> tuple[Event, ...]:
    """Give an open order another price or whole quantity; see `AmendOrder` for its place in the queue.

    `unknown_order` when it is not in the book; `would_trade` when it is post-only and would, which leaves it as it
    was. Whose it is, the caller has checked.
    """
    _require_contract(book, command)
    if command.lots < 0 or command.price_ticks < 1:
        raise BrokenInvariant(f"Order {command.order_id} amended to {command.lots} lots at {command.price_ticks}.")
    resting = book.resting.get(command.order_id)
    if resting is None:
        return (OrderRejected(command.order_id, RejectReason.UNKNOWN_ORDER),)
    before, lots_before = resting.order, resting.lots
    left = Lots(command.lots - (before.lots - lots_before))
    if left <= 0:
        return cancel(book, command.order_id)
    after = replace(before, price_ticks=command.price_ticks, lots=command.lots)
    if command.price_ticks == before.price_ticks and left <= lots_before:
        book.amend_in_place(resting, after, left)
        return (OrderAmended(before, after, lots_before, left, kept_place=True),)
    if before.post_only is not _NOT_POST_ONLY:
        resting_only = _short_of_trading(book, after)
        if resting_only is None:
            return (OrderRejected(command.order_id, RejectReason.WOULD_TRADE),)
        after = resting_only
    book.remove(before.order_id)
    events: list[Event] = [OrderAmended(before, after, lots_before, left, kept_place=False)]
    after, left, reason = trade(book, after, left, collar, events)
    if reason is None:
        book.rest(after, left)
    else:
        events.append(OrderClosed(after, reason, left))
    return tuple(events)


def cancel(book: Book, order_id: OrderId, reason: CloseReason = CloseReason.CANCELLED) -> tuple[Event, ...]:
    """Take an order out of the book; `unknown_order` when it is not there. Whose it is, the caller has checked."""
    resting = book.remove(order_id)
    if resting is None:
        return (OrderRejected(order_id, RejectReason.UNKNOWN_ORDER),)
    return (OrderClosed(resting.order, reason, resting.lots),)


def close_book(book: Book, reason: CloseReason = CloseReason.GATE_CLOSED) -> tuple[Event, ...]:
    """Every order goes, as at the gate: bids then asks, each in priority order."""
    closed = tuple(OrderClosed(resting.order, reason, resting.lots) for resting in book.queue())
    book.clear()
    return closed


def restore(contract_id: ContractId, standing: Iterable[tuple[Order, Lots]], band: PriceRange | None = None) -> Book:
    """A book of open orders, each with the lots it still wants, given oldest first at each price.

    Nothing trades: a crossed result means that what was stored is wrong, and raises.
    """
    book = Book(contract_id, band)
    for order, left in standing:
        if order.order_id in book.resting or order.contract_id != book.contract_id:
            raise _misplaced(book, order)
        if not 0 < left <= order.lots or not order.may_rest:
            raise BrokenInvariant(f"Order {order.order_id} cannot rest with {left} of {order.lots} lots.")
        book.rest(order, left)
    bid, ask = book.best_price(Side.BUY), book.best_price(Side.SELL)
    if bid is not None and ask is not None and bid >= ask:
        raise BrokenInvariant(f"The restored book of contract {contract_id} is crossed: {bid} bid, {ask} asked.")
    return book


def _why_unfilled(order: Order) -> CloseReason:
    """Why an order that may not rest is over when nobody offers more."""
    return CloseReason.FOK_NOT_FILLED if order.time_in_force is _FOK else CloseReason.IOC_REMAINDER


def _short_of_trading(book: Book, order: Order) -> Order | None:
    """A post-only order at a price at which it only rests; None when it wants no other, or the band has none."""
    makers = book.against(order.side)
    best = makers.best_crossing(order.price_ticks)
    if best is None:
        return order
    price_ticks = PriceTicks(best + makers.sign)
    if order.post_only is PostOnly.REJECT or price_ticks < 1 or (book.band and price_ticks not in book.band):
        return None
    return replace(order, price_ticks=price_ticks)


def _misplaced(book: Book, order: Order) -> BrokenInvariant:
    if order.contract_id != book.contract_id:
        return BrokenInvariant(f"Order {order.order_id} of contract {order.contract_id} reached {book.contract_id}.")
    return BrokenInvariant(f"Order {order.order_id} is already in the book.")


def _require_contract(book: Book, command: AmendOrder | CancelOrder) -> None:
    if command.contract_id != book.contract_id:
        raise BrokenInvariant(f"A command for contract {command.contract_id} reached {book.contract_id}.")
