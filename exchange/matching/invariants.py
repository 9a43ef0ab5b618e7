"""What is true of every book between two commands."""

from __future__ import annotations

from exchange.matching.book import Book, BookSide, PriceLevel, RestingOrder
from exchange.matching.types import BrokenInvariant, OrderId, OrderType, Side, TimeInForce


def check_book(book: Book) -> None:
    """Raise `BrokenInvariant` at the first thing in the book that contradicts another. Walks every order."""
    seen: set[OrderId] = set()
    for side, levels in ((Side.BUY, book.bids), (Side.SELL, book.asks)):
        _check_side(levels)
        for level in levels:
            _check_level(book, side, level, seen)
    _require(seen == set(book.resting), "the index and the queues hold different orders")
    bid, ask = book.best_price(Side.BUY), book.best_price(Side.SELL)
    _require(bid is None or ask is None or bid < ask, f"crossed: {bid} bid, {ask} asked")


def _check_side(side: BookSide) -> None:
    _require(side.keys == sorted(side.levels), "the sorted prices are not the prices of the levels")
    for key, level in side.levels.items():
        _require(key == level.price_ticks * side.sign, f"level {level.price_ticks} is filed under {key}")


def _check_level(book: Book, side: Side, level: PriceLevel, seen: set[OrderId]) -> None:
    before = None
    lots = count = 0
    for resting in level:
        order = resting.order
        _require(order.order_id not in seen, f"order {order.order_id} is queued twice")
        _require(book.resting.get(order.order_id) is resting, f"order {order.order_id} is not the indexed one")
        _require(resting.before is before and resting.level is level, f"order {order.order_id} is linked wrongly")
        _require(
            (order.contract_id, order.side, order.price_ticks) == (book.contract_id, side, level.price_ticks),
            f"order {order.order_id} is in the wrong queue",
        )
        _check_resting(resting)
        seen.add(order.order_id)
        before = resting
        lots += resting.lots
        count += 1
    _require(level.tail is before, f"level {level.price_ticks} ends at the wrong order")
    _require(count > 0, f"level {level.price_ticks} is empty")
    _require((lots, count) == (level.lots, level.count), f"level {level.price_ticks} has wrong totals")
    _require(book.band is None or level.price_ticks in book.band, f"level {level.price_ticks} is outside the band")


def _check_resting(resting: RestingOrder) -> None:
    order = resting.order
    _require(0 < resting.lots <= order.lots, f"order {order.order_id} wants {resting.lots} of {order.lots} lots")
    _require(
        order.order_type is OrderType.LIMIT
        and order.time_in_force in (TimeInForce.GTC, TimeInForce.GTD)
        and order.budget is None,
        f"order {order.order_id} is of a kind that never rests",
    )


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise BrokenInvariant(f"Broken book: {message}.")
