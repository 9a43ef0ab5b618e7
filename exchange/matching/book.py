"""The order book of one contract.

Each price level is an intrusive linked list in arrival order with running totals, so that cancelling and depth
snapshots cost the same however deep the level is; the prices of a side are one sorted list with the best at its end.
Measured against a heap with lazy deletion and against an OrderedDict per level, it is as fast and leaves nothing dead
behind.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, replace

from exchange.matching.types import BrokenInvariant, ContractId, LimitOrder, Lots, OrderId, PriceTicks, Side


class RestingOrder:
    """An order in the book: what it still wants, and its neighbours in the queue."""

    __slots__ = ("after", "before", "level", "lots", "order")

    def __init__(self, order: LimitOrder, lots: Lots, level: PriceLevel) -> None:
        self.order = order
        self.lots = lots
        self.level = level
        self.before: RestingOrder | None = None
        self.after: RestingOrder | None = None


class PriceLevel:
    """All orders at one price of one side, first come first."""

    __slots__ = ("count", "head", "lots", "price_ticks", "tail")

    def __init__(self, price_ticks: PriceTicks) -> None:
        self.price_ticks = price_ticks
        self.lots = Lots(0)
        self.count = 0
        self.head: RestingOrder | None = None
        self.tail: RestingOrder | None = None

    def __iter__(self) -> Iterator[RestingOrder]:
        resting = self.head
        while resting is not None:
            yield resting
            resting = resting.after

    def append(self, resting: RestingOrder) -> None:
        resting.before = self.tail
        if self.tail is None:
            self.head = resting
        else:
            self.tail.after = resting
        self.tail = resting
        self.lots = Lots(self.lots + resting.lots)
        self.count += 1

    def unlink(self, resting: RestingOrder) -> None:
        if resting.before is None:
            self.head = resting.after
        else:
            resting.before.after = resting.after
        if resting.after is None:
            self.tail = resting.before
        else:
            resting.after.before = resting.before
        self.lots = Lots(self.lots - resting.lots)
        self.count -= 1


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

    def best_order(self) -> RestingOrder | None:
        return self.levels[self.keys[-1]].head if self.keys else None

    def level_at(self, price_ticks: PriceTicks) -> PriceLevel:
        """The level of a price, made when there is none."""
        key = price_ticks * self.sign
        level = self.levels.get(key)
        if level is None:
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
    """The open orders of one contract. Only `exchange.matching.engine` changes it."""

    __slots__ = ("contract_id", "resting", "sides")

    def __init__(self, contract_id: ContractId) -> None:
        self.contract_id = contract_id
        self.sides = {side: BookSide(side) for side in Side}
        self.resting: dict[OrderId, RestingOrder] = {}

    def __contains__(self, order_id: OrderId) -> bool:
        return order_id in self.resting

    def __len__(self) -> int:
        return len(self.resting)

    def best_price(self, side: Side) -> PriceTicks | None:
        level = self.sides[side].best_level()
        return None if level is None else level.price_ticks

    def lots_left(self, order_id: OrderId) -> Lots:
        """What an open order still wants; 0 when it is not in the book."""
        resting = self.resting.get(order_id)
        return Lots(0) if resting is None else resting.lots

    def in_priority(self) -> Iterator[LimitOrder]:
        """Open orders with the lots they still want: bids, then asks, each by price and then arrival.

        `engine.restore` makes an equal book from them.
        """
        for side in self.sides.values():
            for level in side:
                for resting in level:
                    yield replace(resting.order, lots=resting.lots)

    def depth(self, levels: int) -> Depth:
        """At most `levels` price levels of each side."""
        return Depth(bids=self._top(Side.BUY, levels), asks=self._top(Side.SELL, levels))

    def _top(self, side: Side, count: int) -> tuple[DepthLevel, ...]:
        levels = (level for _, level in zip(range(count), self.sides[side], strict=False))
        return tuple(DepthLevel(level.price_ticks, level.lots, level.count) for level in levels)

    def rest(self, order: LimitOrder, lots: Lots) -> None:
        """Queue `lots` of an order behind all others at its price."""
        level = self.sides[order.side].level_at(order.price_ticks)
        resting = RestingOrder(order, lots, level)
        level.append(resting)
        self.resting[order.order_id] = resting

    def fill(self, resting: RestingOrder, lots: Lots) -> None:
        """Take `lots` from an order, and the order out of the book when nothing is left."""
        if lots > resting.lots:
            raise BrokenInvariant(f"Order {resting.order.order_id} has {resting.lots} lots, not {lots}.")
        resting.lots = Lots(resting.lots - lots)
        resting.level.lots = Lots(resting.level.lots - lots)
        if not resting.lots:
            self.remove(resting)

    def remove(self, resting: RestingOrder) -> None:
        """Take an order out of the book, and its level when it was the last there."""
        resting.level.unlink(resting)
        if resting.level.head is None:
            self.sides[resting.order.side].drop(resting.level)
        del self.resting[resting.order.order_id]
