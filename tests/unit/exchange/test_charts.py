from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.charts import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    BarPlace,
    CandlePoint,
    Chart,
    CurvePoint,
    bar_chart,
    candle_chart,
    curve_chart,
    depth_chart,
)

LEVELS = st.lists(
    st.tuples(st.integers(1, 10_000), st.integers(1, 10**6)), max_size=30, unique_by=lambda level: level[0]
)


def coordinates(chart: Chart) -> list[tuple[int, int]]:
    """Every corner of every shape."""
    corners = []
    for shape in chart.shapes:
        x = y = 0
        for letter, first, second in re.findall(r"([MHVZ])(-?\d*)(?: (-?\d+))?", shape.path):
            if letter == "M":
                x, y = int(first), int(second)
            elif letter == "H":
                x = int(first)
            elif letter == "V":
                y = int(first)
            corners.append((x, y))
    return corners


def test_an_empty_book_and_no_trades_have_no_chart() -> None:
    assert depth_chart([], [], str) is None
    assert candle_chart([], str) is None
    assert curve_chart([CurvePoint("14:00", None, None, None)], str) is None


def test_the_depth_of_a_small_book() -> None:
    chart = depth_chart([(90, 10), (80, 30)], [(110, 40)], lambda ticks: f"{ticks}.00")
    assert chart is not None
    assert chart.summary == "Depth of the book: 40 lots bid, best at 90.00; 40 lots asked, best at 110.00."
    bid_area, bid_line, _, ask_line = chart.shapes
    assert [shape.style for shape in chart.shapes] == ["bid-area", "line bid-line", "ask-area", "line ask-line"]
    assert bid_line.path.endswith(f"H{LEFT}")
    assert ask_line.path.endswith(f"H{RIGHT}")
    assert bid_area.path == f"{bid_line.path}V{BOTTOM}Z"
    assert bid_line.path.count(f"V{TOP}") == ask_line.path.count(f"V{TOP}") == 1  # both reach 40 lots
    assert [label.text for label in chart.labels if label.anchor == "middle"] == ["80.00", "90.00", "110.00"]


@given(bids=LEVELS, asks=LEVELS)
def test_a_book_of_any_shape_is_drawn_inside_the_plot(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> None:
    chart = depth_chart(sorted(bids, reverse=True), sorted(asks), str)
    if chart is None:
        assert not bids
        assert not asks
        return
    for x, y in coordinates(chart):
        assert LEFT <= x <= RIGHT
        assert TOP <= y <= BOTTOM
    assert chart.grid[0] == BOTTOM
    feet = [label for label in chart.labels if label.anchor == "middle"]
    assert [label.x for label in feet] == sorted(label.x for label in feet)


@st.composite
def candles(draw: st.DrawFn) -> list[CandlePoint]:
    places = sorted(draw(st.sets(st.integers(10**6, 10**6 + 59), min_size=1)))
    found = []
    for place in places:
        low, *between, high = sorted(draw(st.lists(st.integers(1, 10**9), min_size=4, max_size=4)))
        opened, closed = draw(st.permutations(between))
        found.append(CandlePoint(place, str(place), opened, high, low, closed))
    return found


@given(candles())
def test_candles_are_drawn_in_their_order_inside_the_plot(drawn: list[CandlePoint]) -> None:
    chart = candle_chart(drawn, str)
    assert chart is not None
    assert len(chart.shapes) == 2 * len(drawn)
    for x, y in coordinates(chart):
        assert LEFT <= x <= RIGHT
        assert TOP <= y <= BOTTOM
    wicks = [coordinates(Chart("", (), (shape,), (), ()))[0][0] for shape in chart.shapes[::2]]
    assert wicks == sorted(set(wicks))


def test_a_fallen_candle_looks_other_than_a_risen_one() -> None:
    chart = candle_chart(
        [CandlePoint(5, "14:05", 10, 14, 8, 12), CandlePoint(8, "14:08", 12, 12, 9, 9)], lambda ticks: f"{ticks}.00"
    )
    assert chart is not None
    assert [shape.style for shape in chart.shapes] == ["candle risen"] * 2 + ["candle fallen"] * 2
    assert chart.summary == ("2 candles from 14:05 to 14:08: opened at 10.00, highest 14.00, lowest 8.00, last 9.00.")


def test_a_curve_leaves_gaps_where_there_is_no_price() -> None:
    points = [
        CurvePoint("14:00", 10, 12, 11),
        CurvePoint("15:00", None, 13, None, 14),
        CurvePoint("16:00", None, None, None),
    ]
    chart = curve_chart(points, str)
    assert chart is not None
    assert [shape.style for shape in chart.shapes] == [
        "line bid-line",
        "line ask-line",
        "line ask-line",
        "line buy-line",
    ]
    assert [dot.text for dot in chart.dots] == ["14:00: last 11"]
    assert [label.text for label in chart.labels if label.anchor == "middle"] == ["14:00", "15:00", "16:00"]


@pytest.mark.parametrize("most", [1, 3, 4, 7, 10, 99, 100, 101, 12_345, 1_000_000])
def test_a_few_round_marks_whatever_the_size(most: int) -> None:
    chart = depth_chart([(10, most)], [], str)
    assert chart is not None
    marks = [int(label.text) for label in chart.labels if label.anchor == "end"]
    assert 2 <= len(marks) <= 5
    assert {mark % (marks[1] - marks[0]) for mark in marks} == {0}
    assert str(marks[1])[0] in "125"
    assert marks[-1] <= most or most == 1


@given(st.lists(st.tuples(st.integers(-5, 10**12), st.integers(-5, 10**12)), min_size=1, max_size=80))
def test_bars_stand_side_by_side_as_high_as_their_values(values: list[tuple[int, int]]) -> None:
    chart = bar_chart([BarPlace(str(at), pair) for at, pair in enumerate(values)], ("one", "two"), str, "All")
    drawn = [value for pair in values for value in pair if value > 0]
    if not drawn:
        assert chart is None
        return
    assert chart is not None
    assert [shape.style for shape in chart.shapes] == [
        style for pair in values for style, value in zip(("one", "two"), pair, strict=True) if value > 0
    ]
    right = LEFT
    for shape in chart.shapes:
        corners = [corner for corner in coordinates(Chart("", (), (shape,), (), ())) if corner != (0, 0)]
        assert right <= min(x for x, _ in corners) < max(x for x, _ in corners) <= RIGHT
        assert TOP <= min(y for _, y in corners) <= max(y for _, y in corners) == BOTTOM
        right = max(x for x, _ in corners)


def test_bars_say_what_they_count() -> None:
    chart = bar_chart([BarPlace("14:00", (100, 50)), BarPlace("14:30", (0, 200))], ("one", "two"), str, "All")
    assert chart is not None
    assert [shape.path for shape in chart.shapes] == [
        "M57 208V111H198V208Z",
        "M198 208V159H339V208Z",
        "M482 208V14H623V208Z",
    ]
    assert [label.text for label in chart.labels] == ["0", "50", "100", "150", "200", "14:00", "14:30"]
