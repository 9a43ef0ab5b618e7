"""What market pages show, put together from selectors' values: prices written out, ladders, charts. Reads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from exchange.charts import CandlePoint, Chart, CurvePoint, Level, TextOf, candle_chart, curve_chart, depth_chart
from exchange.market_data.intervals import Interval
from exchange.matching.book import DepthLevel
from exchange.models import ContractState
from exchange.selectors.candles import CandleView, StatisticsView
from exchange.selectors.market import BookView, ContractView
from exchange.selectors.quoted_contracts import PurchaseView, purchase_view
from exchange.selectors.quotes import Quote, Quotes
from exchange.windows import DAY
from exchange.wording import price_writer
from ledger.money import div_ceil, format_micros

LADDER_LEVELS = 12
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


@dataclass(frozen=True, slots=True)
class CandleRow:
    """A candle in a table, its prices written out."""

    candle: CandleView
    open: str
    high: str
    low: str
    close: str


@dataclass(frozen=True, slots=True)
class DayFigures:
    """The last 24 hours in words; empty where nothing traded."""

    range: str
    average: str
    lots: int
    trades: int


@dataclass(frozen=True, slots=True)
class CurveRow:
    """A delivery window in the table of a curve; `buy` is None where fewer lots are asked."""

    row: ContractRow
    asked_lots: int
    buy: PurchaseView | None
    limit: str


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


def forward_curve(
    contracts: Sequence[ContractView], quotes: dict[int, Quotes], *, with_buy: bool = False
) -> Chart | None:
    """Prices over the delivery windows of one product and window length, in their order.

    `with_buy` draws what the priced lots would cost on average, to the next tick.
    """
    if not contracts:
        return None
    points = []
    days = contracts[0].window_seconds >= DAY
    for contract in contracts:
        best = quotes.get(contract.id, Quotes())
        points.append(
            CurvePoint(
                name=_time_name(contract.delivery_start, days=days),
                bid=best.bid.price_ticks if best.bid else None,
                ask=best.ask.price_ticks if best.ask else None,
                last=contract.last_price_ticks,
                buy=div_ceil(best.buy.tick_lots, best.buy.lots) if with_buy and best.buy else None,
            )
        )
    return curve_chart(points, price_writer(contracts[0].tick_micros))


def curve_row(contract: ContractView, quotes: Quotes) -> CurveRow:
    """A window with what the priced lots would cost in it."""
    buy = purchase_view(contract, quotes.buy)
    limit = "" if buy is None else price_writer(contract.tick_micros)(buy.limit_ticks)
    return CurveRow(contract_row(contract, quotes), quotes.asked_lots, buy, limit)


def candles_chart(candles: Sequence[CandleView], interval: Interval) -> Chart | None:
    """Candles, given newest first, at their places in time."""
    points = [
        CandlePoint(
            place=(candle.starts_at - _EPOCH) // timedelta(seconds=interval.seconds),
            name=_time_name(candle.starts_at, days=interval is Interval.DAY),
            open=candle.open_ticks,
            high=candle.high_ticks,
            low=candle.low_ticks,
            close=candle.close_ticks,
        )
        for candle in reversed(candles)
    ]
    return candle_chart(points, price_writer(candles[0].tick_micros)) if candles else None


def candle_row(candle: CandleView) -> CandleRow:
    write = price_writer(candle.tick_micros)
    prices = (candle.open_ticks, candle.high_ticks, candle.low_ticks, candle.close_ticks)
    return CandleRow(candle, *(write(price) for price in prices))


def day_figures(statistics: StatisticsView) -> DayFigures:
    figures = statistics.figures
    if figures is None:
        return DayFigures("", "", 0, 0)
    write = price_writer(figures.tick_micros)
    extremes = f"{write(figures.low_ticks)}\N{EN DASH}{write(figures.high_ticks)}"
    return DayFigures(extremes, format_micros(figures.vwap_micros), figures.lots, figures.trades)


def is_trading(contract: ContractView) -> bool:
    return contract.state == ContractState.TRADING


def _time_name(at: datetime, *, days: bool) -> str:
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b}" if days else f"{at:%H:%M}"


def _rungs(levels: Sequence[DepthLevel], write: TextOf) -> list[Rung]:
    shown = levels[:LADDER_LEVELS]
    sums = accumulate(level.lots for level in shown)
    return [
        Rung(write(level.price_ticks), level.lots, level.orders, cumulated)
        for level, cumulated in zip(shown, sums, strict=True)
    ]


def _levels(levels: Sequence[DepthLevel]) -> list[Level]:
    return [(level.price_ticks, level.lots) for level in levels]
