"""Orders, books and events as lines of text, for people and tests alike. `exchange/ORDERS.md` is written in them.

#4 buy 5 at 10 by C ioc cancel_oldest     an order: id, side, lots, price, party, then what is not the default
#1 sell 2 of 3 at 10 by A                 the same in a book: it still wants 2 of its 3 lots
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TypeVar

from exchange.matching.book import Book
from exchange.matching.engine import apply, restore
from exchange.matching.events import (
    CollarReached,
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
from exchange.matching.types import (
    AmendOrder,
    CancelOrder,
    Collar,
    Command,
    ContractId,
    GroupId,
    Lots,
    Order,
    OrderId,
    OrderType,
    PartyId,
    PostOnly,
    PriceRange,
    PriceTicks,
    SelfTrade,
    Side,
    TickLots,
    TimeInForce,
)

CONTRACT = ContractId(7)
_Choice = TypeVar("_Choice", bound=StrEnum)


def parse_order(line: str) -> tuple[Order, Lots]:
    """The order of a line and the lots it still wants. Raises ValueError for a line that is none."""
    number, side, left, *words = line.split()
    lots = left
    if words[0] == "of":
        _, lots, *words = words
    at, price, by, party, *words = words
    if (at, by, number[0]) != ("at", "by", "#"):
        raise ValueError(f"not an order: {line}")
    order = Order(
        OrderId(int(number[1:])),
        CONTRACT,
        PartyId(ord(party)),
        Side(side),
        PriceTicks(int(price)),
        Lots(int(lots)),
        GroupId(ord(_value(words, "group") or party)),
        order_type=_one_of(words, OrderType, OrderType.LIMIT),
        budget=TickLots(int(budget)) if (budget := _value(words, "budget")) else None,
        post_only=PostOnly(_value(words, "post_only") or PostOnly.NO),
        time_in_force=_one_of(words, TimeInForce, TimeInForce.GTC),
        self_trade=_one_of(words, SelfTrade, SelfTrade.CANCEL_NEWEST),
    )
    if words:
        raise ValueError(f"what is {words} of {line}?")
    return order, Lots(int(left))


def parse_command(line: str) -> Command:
    """A line that places, amends (`amend #1 to 5 at 10`) or cancels (`cancel #1`)."""
    match line.split():
        case ["cancel", number]:
            return CancelOrder(OrderId(int(number[1:])), CONTRACT)
        case ["amend", number, "to", lots, "at", price]:
            return AmendOrder(OrderId(int(number[1:])), CONTRACT, PriceTicks(int(price)), Lots(int(lots)))
        case _:
            return parse_order(line)[0]


def parse_range(line: str) -> PriceRange:
    """`9 to 11`"""
    low, _, high = line.split()
    return PriceRange(int(low), int(high))


def book_of(*lines: str, band: PriceRange | None = None) -> Book:
    """A book of orders that stand in it, oldest first at each price."""
    book = restore(CONTRACT, map(parse_order, lines), band)
    check_book(book)
    return book


def run(book: Book, line: str, collar: Collar | None = None) -> list[str]:
    """What a command comes to; the book is checked."""
    events = apply(book, parse_command(line), collar=collar)
    check_book(book)
    return tell(events)


def standing(book: Book) -> list[str]:
    """The book, best first: bids, then asks."""
    return [_standing(order, left) for order, left in book.in_priority()]


def tell(events: Iterable[Event]) -> list[str]:
    return [_told(event) for event in events]


def _told(event: Event) -> str:
    match event:
        case OrderAccepted(order, lots):
            return f"#{order.order_id} accepted, {lots} at {order.price_ticks}"
        case OrderFilled(taker, maker, price, lots, taker_left, maker_left):
            verb = "buys {} from" if taker.side is Side.BUY else "sells {} to"
            who = f"#{taker.order_id} {verb.format(lots)} #{maker.order_id}"
            return f"{who} at {price}, which leaves {taker_left} and {maker_left}"
        case MatchPrevented(taker, maker, how, price, lots):
            return f"#{taker.order_id} and #{maker.order_id} do not trade {lots} at {price}, {how}"
        case CollarReached(taker, price):
            return f"#{taker.order_id} reaches the collar at {price}"
        case OrderRested(order, lots):
            return f"#{order.order_id} rests with {lots}"
        case OrderAmended(before, after, lots_before, lots_after, kept_place):
            place = "keeps" if kept_place else "loses"
            old, new = _wants(before, lots_before), _wants(after, lots_after)
            return f"#{after.order_id} amended from {old} to {new}, {place} its place"
        case OrderClosed(order, reason, 0):
            return f"#{order.order_id} closed, {reason}"
        case OrderClosed(order, reason, lots):
            return f"#{order.order_id} closed, {reason}, {lots} unfilled"
        case OrderRejected(order_id, reason):
            return f"#{order_id} refused, {reason}"


def _standing(order: Order, left: Lots) -> str:
    """The line that `parse_order` reads."""
    words = [f"#{order.order_id} {order.side} {_wants(order, left)} by {chr(order.party_id)}"]
    if order.time_in_force is not TimeInForce.GTC:
        words.append(order.time_in_force)
    if order.post_only is not PostOnly.NO:
        words.append(f"post_only {order.post_only}")
    if order.self_trade is not SelfTrade.CANCEL_NEWEST:
        words.append(order.self_trade)
    if int(order.group_id) != order.party_id:
        words.append(f"group {chr(order.group_id)}")
    return " ".join(words)


def _wants(order: Order, left: Lots) -> str:
    lots = f"{left}" if left == order.lots else f"{left} of {order.lots}"
    return f"{lots} at {order.price_ticks}"


def _value(words: list[str], name: str) -> str | None:
    """The word after a name; both are taken out."""
    if name not in words:
        return None
    at = words.index(name)
    _, value = words[at : at + 2]
    del words[at : at + 2]
    return value


def _one_of(words: list[str], choices: type[_Choice], default: _Choice) -> _Choice:
    """The choice that one of the words names; the word is taken out."""
    for choice in choices:
        if choice.value in words:
            words.remove(choice.value)
            return choice
    return default
