"""Charts of a market as coordinates of an SVG drawing. Pure and integer; a template draws them without any script.

Drawn on the server they work in every reader, print well, take the colours of the page, and are swapped with the
figures they show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 52, 628, 14, 208  # of the plot within the drawing
GRID_LINES = 4

Level = tuple[int, int]  # price in ticks, lots
TextOf = Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Label:
    """A text at a place; `anchor` is SVG's start, middle or end."""

    x: int
    y: int
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Shape:
    """An SVG path and the style classes it is drawn with."""

    path: str
    style: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A point with words about it for whoever points at it."""

    x: int
    y: int
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing: horizontal grid lines, shapes, dots, labels, and the same in words for those who do not see it."""

    summary: str
    grid: tuple[int, ...]
    shapes: tuple[Shape, ...]
    dots: tuple[Dot, ...]
    labels: tuple[Label, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT
    bottom: int = BOTTOM


@dataclass(frozen=True, slots=True)
class _Scale:
    """Maps `low..high` to pixels `start..end`; a range of one value lies in the middle."""

    low: int
    high: int
    start: int
    end: int

    def __call__(self, value: int) -> int:
        if self.high == self.low:
            return (self.start + self.end) // 2
        return self.start + (value - self.low) * (self.end - self.start) // (self.high - self.low)


def depth_chart(bids: Sequence[Level], asks: Sequence[Level], price_text: TextOf) -> Chart | None:
    """Cumulated lots by price, best price first on both sides. None for an empty book."""
    prices = [price for price, _ in (*bids, *asks)]
    if not prices:
        return None
    margin = max(1, (max(prices) - min(prices)) // 12)
    across = _Scale(min(prices) - margin, max(prices) + margin, LEFT, RIGHT)
    most = max((sum(lots for _, lots in side) for side in (bids, asks)), default=0)
    step = _round_step(most)
    up = _Scale(0, max(most, step), BOTTOM, TOP)
    shapes = [
        shape
        for side, levels, edge in (("bid", bids, LEFT), ("ask", asks, RIGHT))
        if levels
        for shape in _stairs(side, levels, edge, across, up)
    ]
    ticks = sorted({across.low + margin, across.high - margin, *(side[0][0] for side in (bids, asks) if side)})
    return Chart(
        summary=_depth_summary(bids, asks, price_text),
        grid=tuple(up(value) for value in _marks(0, up.high, step)),
        shapes=tuple(shapes),
        dots=(),
        labels=(*_side_labels(up, step, str), *_foot_labels([(across(price), price_text(price)) for price in ticks])),
    )


@dataclass(frozen=True, slots=True)
class CandlePoint:
    """The trades of one interval, by its place on the axis; prices in ticks."""

    place: int
    name: str
    open: int
    high: int
    low: int
    close: int


def candle_chart(candles: Sequence[CandlePoint], price_text: TextOf) -> Chart | None:
    """Candles, oldest first; places between them without one stay empty. None without candles.

    A candle that fell is filled, one that did not is hollow, so that colours are not needed to tell them apart.
    """
    if not candles:
        return None
    up, step = _price_scale([price for candle in candles for price in (candle.high, candle.low)])
    first, last = candles[0], candles[-1]
    across = _Scale(first.place, last.place + 1, LEFT + 4, RIGHT - 4)
    half = max(1, min(9, (across(first.place + 1) - across(first.place)) * 2 // 5))
    shapes, names = [], []
    for candle in candles:
        x = (across(candle.place) + across(candle.place + 1)) // 2
        top, bottom = up(max(candle.open, candle.close)), up(min(candle.open, candle.close))
        style = "fallen" if candle.close < candle.open else "risen"
        shapes.append(Shape(f"M{x} {up(candle.high)}V{top}M{x} {bottom}V{up(candle.low)}", f"candle {style}"))
        shapes.append(Shape(f"M{x - half} {top}H{x + half}V{bottom}H{x - half}Z", f"candle {style}"))
        names.append((x, candle.name))
    every = -(-len(names) // 6)
    return Chart(
        summary=_candle_summary(candles, price_text),
        grid=tuple(up(value) for value in _marks(up.low, up.high, step)),
        shapes=tuple(shapes),
        dots=(),
        labels=(*_side_labels(up, step, price_text), *_foot_labels(names[::every])),
    )


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One delivery window of a product: its name on the axis, and its prices in ticks where there are any.

    `buy` is the average price of buying some lots at once.
    """

    name: str
    bid: int | None
    ask: int | None
    last: int | None
    buy: int | None = None


def curve_chart(points: Sequence[CurvePoint], price_text: TextOf) -> Chart | None:
    """Best prices across delivery windows, the nearest on the left. None without any price."""
    shown = [(point.bid, point.ask, point.buy, point.last) for point in points]
    prices = [price for each in shown for price in each if price is not None]
    if not prices:
        return None
    up, step = _price_scale(prices)
    across = _Scale(0, len(points), LEFT + 4, RIGHT - 4)
    shapes, dots = [], []
    for at, point in enumerate(points):
        start, end = across(at) + 2, across(at + 1) - 2
        for price, style in ((point.bid, "bid-line"), (point.ask, "ask-line"), (point.buy, "buy-line")):
            if price is not None:
                shapes.append(Shape(f"M{start} {up(price)}H{end}", f"line {style}"))
        if point.last is not None:
            dots.append(Dot((start + end) // 2, up(point.last), f"{point.name}: last {price_text(point.last)}"))
    every = -(-len(points) // 6)
    named = [((across(at) + across(at + 1)) // 2, point.name) for at, point in enumerate(points) if at % every == 0]
    return Chart(
        summary=f"Best bid, best ask and last price of {len(points)} delivery windows.",
        grid=tuple(up(value) for value in _marks(up.low, up.high, step)),
        shapes=tuple(shapes),
        dots=tuple(dots),
        labels=(*_side_labels(up, step, price_text), *(Label(x, HEIGHT - 10, name, "middle") for x, name in named)),
    )


@dataclass(frozen=True, slots=True)
class BarPlace:
    """Values that stand side by side at one place of an axis, one for each series."""

    name: str
    values: tuple[int, ...]


def bar_chart(places: Sequence[BarPlace], styles: Sequence[str], value_text: TextOf, summary: str) -> Chart | None:
    """Bars from zero up, first place on the left; `styles` has one class for each series. None if all are zero.

    Values below zero are not drawn.
    """
    most = max((value for place in places for value in place.values), default=0)
    if most <= 0:
        return None
    step = _round_step(most)
    up = _Scale(0, -(-most // step) * step, BOTTOM, TOP)
    across = _Scale(0, len(places) * len(styles), LEFT + 4, RIGHT - 4)
    shapes, names = [], []
    for at, place in enumerate(places):
        start, end = across(at * len(styles)), across((at + 1) * len(styles))
        names.append(((start + end) // 2, place.name))
        width = max(1, (end - start - 2) // len(styles))
        for number, (value, style) in enumerate(zip(place.values, styles, strict=True)):
            if value > 0:
                left = start + 1 + number * width
                shapes.append(Shape(f"M{left} {BOTTOM}V{up(value)}H{left + width}V{BOTTOM}Z", style))
    every = -(-len(names) // 6)
    return Chart(
        summary=summary,
        grid=tuple(up(value) for value in _marks(0, up.high, step)),
        shapes=tuple(shapes),
        dots=(),
        labels=(*_side_labels(up, step, value_text), *_foot_labels(names[::every])),
    )


def _stairs(side: str, levels: Sequence[Level], edge: int, across: _Scale, up: _Scale) -> list[Shape]:
    """From the best price outwards: up by each level's lots, then along to the next price and to the edge."""
    sums = list(accumulate(lots for _, lots in levels))
    first = across(levels[0][0])
    path = "".join(f"H{across(price)}V{up(lots)}" for (price, _), lots in zip(levels, sums, strict=True)) + f"H{edge}"
    return [
        Shape(f"M{first} {BOTTOM}{path}V{BOTTOM}Z", f"{side}-area"),
        Shape(f"M{first} {BOTTOM}{path}", f"line {side}-line"),
    ]


def _price_scale(prices: Sequence[int]) -> tuple[_Scale, int]:
    """A scale around prices that starts and ends at a mark, and the distance of its marks."""
    step = _round_step(max(prices) - min(prices))
    low = max(0, (min(prices) - 1) // step * step)
    return _Scale(low, -(-(max(prices) + 1) // step) * step, BOTTOM, TOP), step


def _round_step(span: int) -> int:
    """1, 2 or 5 times a power of ten, so that a span shows a few marks."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if step * factor * GRID_LINES >= span:
                return step * factor
        step *= 10


def _marks(low: int, high: int, step: int) -> list[int]:
    return list(range(low, high + 1, step))


def _side_labels(up: _Scale, step: int, text: TextOf) -> list[Label]:
    return [Label(LEFT - 8, up(value) + 4, text(value), "end") for value in _marks(up.low, up.high, step)]


def _foot_labels(places: Sequence[tuple[int, str]]) -> list[Label]:
    """Labels below the plot; one that would run into the label before it is left out."""
    labels: list[Label] = []
    free_from = 0
    for x, text in places:
        half = 4 * len(text)
        middle = min(max(x, LEFT + half), RIGHT - half)
        if middle - half >= free_from:
            labels.append(Label(middle, HEIGHT - 10, text, "middle"))
            free_from = middle + half
    return labels


def _candle_summary(candles: Sequence[CandlePoint], price_text: TextOf) -> str:
    high, low = max(candle.high for candle in candles), min(candle.low for candle in candles)
    return (
        f"{len(candles)} candles from {candles[0].name} to {candles[-1].name}: opened at "
        f"{price_text(candles[0].open)}, highest {price_text(high)}, lowest {price_text(low)}, "
        f"last {price_text(candles[-1].close)}."
    )


def _depth_summary(bids: Sequence[Level], asks: Sequence[Level], price_text: TextOf) -> str:
    words = [
        f"{sum(lots for _, lots in levels)} lots {name}, best at {price_text(levels[0][0])}"
        for name, levels in (("bid", bids), ("asked", asks))
        if levels
    ]
    return f"Depth of the book: {'; '.join(words)}."
