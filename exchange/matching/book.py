"""The order book of one contract.

Each price level is an intrusive linked list in arrival order with running totals, so that cancelling and depth
snapshots cost the same however deep the level is; the prices of a side are one sorted list with the best at its end.
Measured against a heap with lazy deletion and against an OrderedDict per level, it is as fast and leaves nothing dead
behind.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from exchange.matching.types import (
    BrokenInvariant,
    ContractId,
    Lots,
    Order,
    OrderId,
    PriceRange,
    PriceTicks,
    Side,
)

_BUY = Side.BUY


class RestingOrder:
    """An order in the book: what it still wants, and its neighbours in the queue.

    Only `Book.rest` makes one, and fills it in itself: a constructor would take longer than all else that it does.
    """

    __slots__ = ("after", "before", "level", "lots", "order")

    order: Order
    lots: Lots
    level: PriceLevel
    before: RestingOrder | None
    after: RestingOrder | None


class PriceLevel:
    """All orders at one price of one side, first come first."""

    __slots__ = ("count", "head", "lots", "price_ticks", "tail")

    def __init__(self, price_ticks: PriceTicks) -> None:
        self.price_ticks = price_ticks
        self.lots = 0
        self.count = 0
        self.head: RestingOrder | None = None
        self.tail: RestingOrder | None = None

    def __iter__(self) -> Iterator[RestingOrder]:
        resting = self.head
        while resting is not None:
            yield resting
            resting = resting.after

    def first(self) -> RestingOrder:
        if self.head is None:
            raise BrokenInvariant(f"The level at {self.price_ticks} is empty.")
        return self.head


class BookSide:
    """The levels of one side. Keys are signed prices, sorted so that the best price is the last key."""

    __slots__ = ("keys", "levels", "sign")

    def __init__(self, side: Side) -> None:
        self.sign = 1 if side is Side.BUY else -1
        self.keys: list[int] = []
        self.levels: dict[int, PriceLevel] = {}

    def __iter__(self) -> Iterator[PriceLevel]:
        """Levels from best to worst."""
        return (self.levels[key] for key in reversed(self.keys))

    def best_level(self) -> PriceLevel | None:
        return self.levels[self.keys[-1]] if self.keys else None

    def best_crossing(self, price_ticks: PriceTicks) -> PriceTicks | None:
        """The best price, if an order of the other side at this price would trade with it."""
        keys = self.keys
        return self.levels[keys[-1]].price_ticks if keys and keys[-1] >= price_ticks * self.sign else None

    def crossing_levels(self, price_ticks: PriceTicks) -> Iterator[PriceLevel]:
        """The levels that an order of the other side at this price would trade with, best first."""
        return takewhile(lambda level: level.price_ticks * self.sign >= price_ticks * self.sign, self)

    def open_level(self, price_ticks: PriceTicks) -> PriceLevel:
        """A new level, for a price that has none."""
        key = price_ticks * self.sign
        level = self.levels[key] = PriceLevel(price_ticks)
        insort(self.keys, key)
        return level

    def drop(self, level: PriceLevel) -> None:
        key = level.price_ticks * self.sign
        del self.levels[key]
        if self.keys[-1] == key:
            self.keys.pop()
        else:
            del self.keys[bisect_left(self.keys, key)]


@dataclass(frozen=True, slots=True)
class DepthLevel:
    price_ticks: PriceTicks
    lots: Lots
    orders: int


@dataclass(frozen=True, slots=True)
class Depth:
    """A snapshot of the best levels of both sides, best first. Anonymous."""

    bids: tuple[DepthLevel, ...]
    asks: tuple[DepthLevel, ...]


class Book:
    """The open orders of one contract. Only `exchange.matching.engine` changes it.

    `band` is the contract's price band, which repricing must not leave; without one any price is good.
    """

    __slots__ = ("asks", "band", "bids", "contract_id", "resting")

    def __init__(self, contract_id: ContractId, band: PriceRange | None = None) -> None:
        self.contract_id = contract_id
        self.band = band
        self.bids = BookSide(Side.BUY)
        self.asks = BookSide(Side.SELL)
        self.resting: dict[OrderId, RestingOrder] = {}

    def __contains__(self, order_id: OrderId) -> bool:
        return order_id in self.resting

    def __len__(self) -> int:
        return len(self.resting)

    def side(self, side: Side) -> BookSide:
        return self.bids if side is _BUY else self.asks

    def against(self, side: Side) -> BookSide:
        """Whom an order of this side trades with."""
        return self.asks if side is _BUY else self.bids

    def best_price(self, side: Side) -> PriceTicks | None:
        level = self.side(side).best_level()
        return None if level is None else level.price_ticks

    def lots_left(self, order_id: OrderId) -> Lots:
        """What an open order still wants; 0 when it is not in the book."""
        resting = self.resting.get(order_id)
        return Lots(0) if resting is None else resting.lots

    def in_priority(self) -> Iterator[tuple[Order, Lots]]:
        """Open orders, each with the lots it still wants: bids, then asks, each by price and then arrival.

        `engine.restore` makes an equal book from them.
        """
        return ((resting.order, resting.lots) for resting in self.queue())

    def queue(self) -> Iterator[RestingOrder]:
        """Bids, then asks, each by price and then arrival."""
        for side in (self.bids, self.asks):
            for level in side:
                yield from level

    def depth(self, levels: int) -> Depth:
        """At most `levels` price levels of each side."""
        return Depth(bids=_top(self.bids, levels), asks=_top(self.asks, levels))

    def rest(self, order: Order, lots: Lots) -> None:
        """Queue `lots` of an order behind all others at its price."""
        price_ticks = order.price_ticks
        if order.side is _BUY:
            level = self.bids.levels.get(price_ticks) or self.bids.open_level(price_ticks)
        else:
            level = self.asks.levels.get(-price_ticks) or self.asks.open_level(price_ticks)
        self.resting[order.order_id] = resting = RestingOrder()
        resting.order = order
        resting.lots = lots
        resting.level = level
        resting.before = last = level.tail
        resting.after = None
        level.tail = resting
        if last is None:
            level.head = resting
        else:
            last.after = resting
        level.lots += lots
        level.count += 1

    def amend_in_place(self, resting: RestingOrder, order: Order, lots: Lots) -> None:
        """Let an order want fewer lots, but some, without moving it."""
        resting.level.lots -= resting.lots - lots
        resting.order, resting.lots = order, lots

    def clear(self) -> None:
        """Take every order out of the book."""
        self.bids, self.asks = BookSide(Side.BUY), BookSide(Side.SELL)
        self.resting.clear()

    def remove(self, order_id: OrderId) -> RestingOrder | None:
        """Take an order out of the book, and its level when it was the last there; None when it is not there."""
        resting = self.resting.pop(order_id, None)
        if resting is None:
            return None
        level, before, after = resting.level, resting.before, resting.after
        level.lots -= resting.lots
        level.count -= 1
        if after is not None:
            after.before = before
        else:
            level.tail = before
        if before is not None:
            before.after = after
        else:
            level.head = after
            if after is None:
                self.side(resting.order.side).drop(level)
        return resting


def _top(side: BookSide, count: int) -> tuple[DepthLevel, ...]:
    levels = (level for _, level in zip(range(count), side, strict=False))
    return tuple(DepthLevel(level.price_ticks, Lots(level.lots), level.count) for level in levels)
