"""Delivery windows and symbols."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import InvalidSymbol, InvalidWindow
from exchange.windows import (
    DAY,
    HOUR,
    MINUTE,
    MONTH,
    Window,
    check_product_code,
    format_length,
    format_symbol,
    length_between,
    parse_length,
    parse_symbol,
    window_at,
    window_from,
)

LENGTHS = [minutes * MINUTE for minutes in range(1, 1_441) if DAY % (minutes * MINUTE) == 0]
instants = st.integers(946_684_800, 4_102_444_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(600, "10MIN"), (900, "15MIN"), (3_600, "1H"), (14_400, "4H"), (86_400, "1D"), (5_400, "90MIN"), (MONTH, "1M")],
)
def test_lengths_are_written_in_the_largest_unit(seconds: int, text: str) -> None:
    assert format_length(seconds) == text
    assert parse_length(text) == seconds


@pytest.mark.parametrize(
    "text", ["60MIN", "24H", "7MIN", "5H", "2D", "0H", "01H", "1h", "H", "", "1W", "2M", "30D", "-1H", "1H "]
)
def test_other_lengths_are_refused(text: str) -> None:
    with pytest.raises(InvalidWindow):
        parse_length(text)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (at("2026-12-01T14:30"), at("2026-12-01T15:30")),  # not aligned
        (at("2026-12-01T14:00"), at("2026-12-01T14:00")),  # empty
        (at("2026-12-01T15:00"), at("2026-12-01T14:00")),  # backwards
        (at("2026-12-01T14:00"), at("2026-12-01T14:07")),  # no such length
        (at("2026-12-01T14:00"), at("2026-12-01T15:00") + timedelta(microseconds=1)),
        (at("2026-12-01T14:00"), at("2026-12-03T14:00")),  # longer than a day
        (at("2026-12-02"), at("2027-01-02")),  # as long as a month, and none
        (at("2026-11-01"), at("2027-01-01")),  # two months
        (datetime.fromisoformat("2026-12-01T14:00"), datetime.fromisoformat("2026-12-01T15:00")),  # no time zone
        (datetime(2026, 12, 1, 14, tzinfo=timezone(timedelta(hours=8))), at("2026-12-01T07:00")),
    ],
)
def test_a_window_is_utc_aligned_and_of_a_traded_length(start: datetime, end: datetime) -> None:
    with pytest.raises(InvalidWindow):
        Window(start, end)


def test_a_window_is_half_open() -> None:
    window = Window(at("2026-12-01T14:00"), at("2026-12-01T15:00"))
    assert window.contains(window.start)
    assert not window.contains(window.end)


@pytest.mark.parametrize(
    ("symbol", "start", "seconds"),
    [
        ("QWEN3-235B.CN-EAST.STD@20261201T14/1H", "2026-12-01T14:00", HOUR),
        ("QWEN3-235B.CN-EAST.STD@20261201T1410/10MIN", "2026-12-01T14:10", 600),
        ("QWEN3-235B.CN-EAST.STD@20261201T1400/10MIN", "2026-12-01T14:00", 600),
        ("QWEN3-235B.CN-EAST.STD@20261201T00/1D", "2026-12-01T00:00", DAY),
        ("QWEN3-235B.CN-EAST.STD@202612/1M", "2026-12-01T00:00", MONTH),
    ],
)
def test_a_symbol_is_read_and_written(symbol: str, start: str, seconds: int) -> None:
    window = window_at(at(start), seconds)
    assert parse_symbol(symbol) == ("QWEN3-235B.CN-EAST.STD", window)
    assert format_symbol("QWEN3-235B.CN-EAST.STD", window) == symbol


@pytest.mark.parametrize(
    "text",
    [
        "",
        "QWEN3",
        "QWEN3@20261201T14",
        "QWEN3@20261201T1400/1H",  # an hour is not written to the minute
        "QWEN3@20261201T14/10MIN",
        "QWEN3@20261201T10/10MIN",  # not 01:00
        "QWEN3@20261201/1M",
        "QWEN3@20261201T00/1M",
        "QWEN3@202613/1M",
        "QWEN3@20261/1M",
        "QWEN3@202612/1D",
        "QWEN3@20261201T14/60MIN",
        "QWEN3@20261201T1405/10MIN",  # not aligned
        "QWEN3@20261301T14/1H",
        "QWEN3@20261201T24/1H",
        "QWEN3@2026120T014/1H",
        "QWEN3@99991231T00/1D",  # ends after the last date there is
        "qwen3@20261201T14/1H",
        "QWEN3..X@20261201T14/1H",
        ".QWEN3@20261201T14/1H",
        "QWEN3 @20261201T14/1H",
        "QWEN3@20261201T14/1H/1H",
        "QWEN3@20261201T14/1H\n",
        "A" * 49 + "@20261201T14/1H",
    ],
)
def test_anything_else_is_no_symbol(text: str) -> None:
    with pytest.raises(InvalidSymbol):
        parse_symbol(text)


@given(instants, st.sampled_from(LENGTHS))
def test_every_instant_is_in_exactly_one_window_of_a_length_and_symbols_round_trip(now: datetime, seconds: int) -> None:
    window = window_at(now, seconds)
    assert window.contains(now)
    assert window.seconds == seconds
    assert parse_symbol(format_symbol(check_product_code("M.R.C"), window)) == ("M.R.C", window)


@given(instants)
def test_months_follow_each_other_without_a_gap_and_symbols_round_trip(now: datetime) -> None:
    month = window_at(now, MONTH)
    assert month.contains(now)
    assert (month.start.day, month.start.time(), month.end.day) == (1, time(), 1)
    assert 28 * DAY <= month.seconds <= 31 * DAY
    assert month.length == length_between(month.start, month.end) == MONTH
    assert window_at(month.end, MONTH).start == month.end
    assert window_at(month.start - timedelta(microseconds=1), MONTH).end == month.start
    assert parse_symbol(format_symbol("M.R.C", month)) == ("M.R.C", month)


def test_only_the_first_of_a_month_starts_one() -> None:
    assert window_from(at("2028-02-01"), MONTH).seconds == 29 * DAY
    for start in ("2026-12-02", "2026-12-01T01:00"):
        with pytest.raises(InvalidWindow):
            window_from(at(start), MONTH)
