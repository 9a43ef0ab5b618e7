"""What market pages show, put together from selectors' values: prices written out, ladders, charts. Reads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from itertools import accumulate

from exchange.charts import Chart, CurvePoint, Level, TextOf, curve_chart, depth_chart
from exchange.matching.book import DepthLevel
from exchange.models import ContractState
from exchange.selectors.market import BookView, ContractView
from exchange.selectors.quotes import Quote, Quotes
from exchange.wording import price_writer

LADDER_LEVELS = 12


@dataclass(frozen=True, slots=True)
class ContractRow:
    """A contract in a table. Prices are written out and empty where there is none."""

    contract: ContractView
    bid: str
    bid_lots: int | None
    ask: str
    ask_lots: int | None
    last: str


@dataclass(frozen=True, slots=True)
class Rung:
    """A price level of the ladder; `cumulated` counts from the best price on."""

    price: str
    lots: int
    orders: int
    cumulated: int


@dataclass(frozen=True, slots=True)
class Ladder:
    """Both sides as they are drawn: the highest ask on top, the lowest bid at the bottom."""

    asks: Sequence[Rung]
    bids: Sequence[Rung]
    deepest: int
    spread: str


def contract_row(contract: ContractView, quotes: Quotes) -> ContractRow:
    write = price_writer(contract.tick_micros)

    def price(quote: Quote | None) -> str:
        return "" if quote is None else write(quote.price_ticks)

    return ContractRow(
        contract=contract,
        bid=price(quotes.bid),
        bid_lots=quotes.bid.lots if quotes.bid else None,
        ask=price(quotes.ask),
        ask_lots=quotes.ask.lots if quotes.ask else None,
        last="" if contract.last_price_ticks is None else write(contract.last_price_ticks),
    )


def ladder(book: BookView) -> Ladder:
    """The best levels of a book, with the distance between its sides."""
    write = price_writer(book.tick_micros)
    asks, bids = _rungs(book.asks, write), _rungs(book.bids, write)
    spread = ""
    if book.asks and book.bids:
        spread = write(book.asks[0].price_ticks - book.bids[0].price_ticks)
    deepest = max((rung.cumulated for rung in (*asks, *bids)), default=0)
    return Ladder(asks=asks[::-1], bids=bids, deepest=deepest, spread=spread)


def book_chart(book: BookView) -> Chart | None:
    """The depth of a book."""
    return depth_chart(_levels(book.bids), _levels(book.asks), price_writer(book.tick_micros))


def quotes_of(book: BookView) -> Quotes:
    """The best of both sides of a book."""
    bid, ask = (Quote(side[0].price_ticks, side[0].lots) if side else None for side in (book.bids, book.asks))
    return Quotes(bid=bid, ask=ask)


def forward_curve(contracts: Sequence[ContractView], quotes: dict[int, Quotes]) -> Chart | None:
    """Prices over the delivery windows of one product and window length, in their order."""
    if not contracts:
        return None
    points = []
    for contract in contracts:
        best = quotes.get(contract.id, Quotes())
        points.append(
            CurvePoint(
                name=f"{contract.delivery_start.astimezone(UTC):%H:%M}",
                bid=best.bid.price_ticks if best.bid else None,
                ask=best.ask.price_ticks if best.ask else None,
                last=contract.last_price_ticks,
            )
        )
    return curve_chart(points, price_writer(contracts[0].tick_micros))


def is_trading(contract: ContractView) -> bool:
    return contract.state == ContractState.TRADING


def _rungs(levels: Sequence[DepthLevel], write: TextOf) -> list[Rung]:
    shown = levels[:LADDER_LEVELS]
    sums = accumulate(level.lots for level in shown)
    return [
        Rung(write(level.price_ticks), level.lots, level.orders, cumulated)
        for level, cumulated in zip(shown, sums, strict=True)
    ]


def _levels(levels: Sequence[DepthLevel]) -> list[Level]:
    return [(level.price_ticks, level.lots) for level in levels]
