"""Commands a second through the matching core alone, beside another engine that is given the same.

In memory, one contract, nothing durable. The line of commands is random, but the same each round; each engine gets its
part of it in its own form, made just before, as a sequencer makes a batch. Both must come to the same fills.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from lightmatchingengine import lightmatchingengine as peer
from msgspec.structs import replace

from exchange.matching import engine
from exchange.matching.book import Book
from exchange.matching.events import OrderFilled
from exchange.matching.types import (
    CancelOrder,
    ContractId,
    GroupId,
    Lots,
    Order,
    OrderId,
    PartyId,
    PriceTicks,
    Side,
)
from tests.bench.figures import Figure, compared, measured
from tests.bench.parts import Bench, BenchFailed, rounds

CONTRACT = ContractId(1)
MID_TICKS = 10_000
CANCELS = 0.4
CROSSING = 0.3  # of the limits
BESIDE = "lightmatchingengine 2019.1.4 on the same events"

Line = Sequence[Order | CancelOrder]
Fill = tuple[int, int, int, int]  # taker, maker, price, lots


@dataclass(frozen=True, slots=True)
class Sizes:
    """`events` measured after `resting` orders stand, whose prices are away from the middle by `spread_ticks` or so."""

    resting: int = 5_000
    events: int = 200_000
    spread_ticks: int = 40
    batch: int = 1_024
    rounds: int = 9
    seconds: float = 60


def measure_matching(bench: Bench, sizes: Sizes = Sizes()) -> list[Figure]:
    """`matching.events_per_s` and `matching.vs_lightmatchingengine`."""
    line = _line(sizes)
    if _fills(line, sizes) != _peer_fills(line, sizes):
        raise BenchFailed("the two engines do not come to the same fills")
    ours, theirs = [], []
    gc.collect()
    gc.freeze()
    gc.disable()  # as in the sequencer
    try:
        with bench.progress("exchange: matching", sizes.rounds) as advance:
            for _ in rounds(sizes.rounds, sizes.seconds):
                ours.append(sizes.events / _seconds(_own_batches(line, sizes)))
                theirs.append(sizes.events / _seconds(_peer_batches(line, sizes)))
                advance()
    finally:
        gc.enable()
    return [
        measured("matching.events_per_s", "events/s", ours, theirs, BESIDE),
        compared("matching.vs_lightmatchingengine", ours, theirs, BESIDE),
    ]


def _line(sizes: Sizes) -> Line:
    """The standing orders, then the events: limits, some of them crossing, and cancels of orders that are open then."""
    chance, book = random.Random(1), Book(CONTRACT)
    line: list[Order | CancelOrder] = []
    open_orders: list[OrderId] = []

    def place(number: int, *, crossing: bool) -> None:
        side = chance.choice((Side.BUY, Side.SELL))
        away = chance.randint(1, 20) if crossing else -1 - int(abs(chance.gauss(0, sizes.spread_ticks)))
        price = PriceTicks(MID_TICKS + (away if side is Side.BUY else -away))
        lots = Lots(chance.randint(1, 10 if crossing else 100))  # so that the book neither drains nor grows
        order = Order(OrderId(number), CONTRACT, PartyId(number), side, price, lots, GroupId(number))
        engine.place(book, order)
        line.append(order)
        open_orders.append(order.order_id)

    placed = 0
    while len(line) < sizes.resting + sizes.events:
        if len(line) >= sizes.resting and len(book) and chance.random() < CANCELS:
            while (gone := _pick(open_orders, chance)) not in book:
                pass
            engine.cancel(book, gone)
            line.append(CancelOrder(gone, CONTRACT))
        else:
            placed += 1
            place(placed, crossing=len(line) >= sizes.resting and chance.random() < CROSSING)
    return line


def _pick(numbers: list[OrderId], chance: random.Random) -> OrderId:
    at = chance.randrange(len(numbers))
    numbers[at], numbers[-1] = numbers[-1], numbers[at]
    return numbers.pop()


def _own_batches(line: Line, sizes: Sizes) -> Iterator[Callable[[], list[Any]]]:
    """Each part of the line as something to run, for its answers."""
    book = Book(CONTRACT)
    for batch in _batches(line, sizes):
        yield partial(
            _run_own,
            book,
            [(True, replace(each)) if isinstance(each, Order) else (False, each.order_id) for each in batch],
        )


def _run_own(book: Book, steps: list[tuple[bool, Any]]) -> list[Any]:
    place, cancel = engine.place, engine.cancel
    return [place(book, what) if new else cancel(book, what) for new, what in steps]


def _peer_batches(line: Line, sizes: Sizes) -> Iterator[Callable[[], list[Any]]]:
    """The same for the peer. It numbers orders from 1 as they come, as the line does."""
    other, sides = peer.LightMatchingEngine(), {Side.BUY: peer.Side.BUY, Side.SELL: peer.Side.SELL}
    for batch in _batches(line, sizes):
        yield partial(
            _run_peer,
            other,
            [
                (each.price_ticks, each.lots, sides[each.side]) if isinstance(each, Order) else (0, 0, each.order_id)
                for each in batch
            ],
        )


def _run_peer(other: Any, steps: list[tuple[int, int, int]]) -> list[Any]:
    add, cancel = other.add_order, other.cancel_order
    return [add(CONTRACT, price, lots, what) if price else cancel(what, CONTRACT) for price, lots, what in steps]


def _batches(line: Line, sizes: Sizes) -> Iterator[Line]:
    """First what is to stand, then the events."""
    yield line[: sizes.resting]
    for start in range(sizes.resting, len(line), sizes.batch):
        yield line[start : start + sizes.batch]


def _seconds(batches: Iterator[Callable[[], list[Any]]]) -> float:
    """What the events take, without the standing orders before and without making the steps."""
    next(batches)()
    seconds = 0.0
    for batch in batches:
        started = time.perf_counter()
        batch()
        seconds += time.perf_counter() - started
    return seconds


def _fills(line: Line, sizes: Sizes) -> list[Fill]:
    return [
        (event.taker.order_id, event.maker.order_id, event.price_ticks, event.lots)
        for batch in _own_batches(line, sizes)
        for events in batch()
        for event in events
        if isinstance(event, OrderFilled)
    ]


def _peer_fills(line: Line, sizes: Sizes) -> list[Fill]:
    """Of its trades those that name the standing order: it tells the newcomer's beside them."""
    answers = (answer for batch in _peer_batches(line, sizes) for answer in batch() if isinstance(answer, tuple))
    return [
        (order.order_id, trade.order_id, trade.trade_price, trade.trade_qty)
        for order, trades in answers
        for trade in trades
        if trade.order_id != order.order_id
    ]
