"""When an offer sells and for how much, and how a provider writes it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.clearing.prices import parse_ticks
from exchange.errors import InvalidOffer, InvalidWindow, PriceOffTick
from exchange.offer_schedule import (
    EVERY_DAY,
    HOURS,
    Curve,
    Schedule,
    curve_of,
    describe_curve,
    describe_weekdays,
    lowest,
    pack_weekdays,
    parse_curve,
    prices_of,
    unpack_weekdays,
)
from exchange.windows import DAY, HOUR, MINUTE, MONTH
from exchange.wording import price_writer
from ledger.errors import InvalidAmount

TICK = 10_000
TUESDAY = datetime(2026, 12, 1, tzinfo=UTC)
CURVES = st.lists(st.none() | st.integers(1, 9_999), min_size=HOURS, max_size=HOURS).filter(any).map(tuple)


def read(text: str) -> Curve:
    return parse_curve(text, lambda price: parse_ticks(TICK, price))


def schedule(**changes: object) -> Schedule:
    figures: dict[str, object] = {
        "window_seconds": HOUR,
        "first": TUESDAY,
        "last": TUESDAY + timedelta(days=6, hours=23),
        "weekdays": EVERY_DAY,
        "curve": curve_of(420),
    }
    return Schedule(**(figures | changes))  # type: ignore[arg-type]


def test_prices_are_written_in_three_ways() -> None:
    assert read("4.21") == (421,) * 24
    assert read(" 00-08: 3.9 , 08:00-20:00: 4.21; 20\N{EN DASH}24 4 ") == (390,) * 8 + (421,) * 12 + (400,) * 4
    assert read(" ".join(str(hour + 1) for hour in range(24))) == tuple(100 * (hour + 1) for hour in range(24))
    assert read("8-20: 4.21") == (None,) * 8 + (421,) * 12 + (None,) * 4
    assert read("22-06: 3") == (300,) * 6 + (None,) * 16 + (300,) * 2


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", InvalidOffer),
        ("1 2", InvalidOffer),
        ("08-20: 4.2, 4.3", InvalidOffer),
        ("08-20: 4.2, 19-21: 4.3", InvalidOffer),
        ("24-25: 4.2", InvalidOffer),
        ("08-25: 4.2", InvalidOffer),
        ("08-08: 4.2", InvalidOffer),
        ("08-20: 4.215", PriceOffTick),
        ("08-20: four", InvalidAmount),
    ],
)
def test_what_cannot_be_read_is_refused_at_the_price(text: str, error: type[InvalidOffer]) -> None:
    with pytest.raises(error) as refusal:
        read(text)
    assert refusal.value.fields["field"] == "price"


@given(CURVES)
def test_a_curve_is_read_as_it_is_written(curve: Curve) -> None:
    assert read(describe_curve(curve, price_writer(TICK))) == curve
    assert curve_of(prices_of(curve)) == curve


@given(st.frozensets(st.integers(0, 6), min_size=1))
def test_weekdays_are_kept_in_seven_bits(weekdays: frozenset[int]) -> None:
    assert unpack_weekdays(pack_weekdays(weekdays)) == weekdays
    assert 1 <= pack_weekdays(weekdays) <= 127


def test_weekdays_in_words() -> None:
    assert describe_weekdays(EVERY_DAY) == "every day"
    assert describe_weekdays({4, 0, 1, 2, 3}) == "Mon\N{EN DASH}Fri"
    assert describe_weekdays({0, 2, 5, 6}) == "Mon, Wed, Sat\N{EN DASH}Sun"


def test_a_window_longer_than_an_hour_takes_the_price_of_its_first_hour() -> None:
    curve: Curve = (390,) * 8 + (421,) * 12 + (None,) * 4
    four_hours = schedule(window_seconds=4 * HOUR, last=TUESDAY + timedelta(hours=20), curve=curve)
    assert [four_hours.price_at(start) for start in four_hours.starts()] == [390, 390, 421, 421, 421]
    assert lowest(curve) == 390
    assert four_hours.price_at(TUESDAY + timedelta(hours=20)) is None
    assert four_hours.price_at(TUESDAY - timedelta(hours=4)) is None


def test_weekdays_are_those_of_the_start_in_utc() -> None:
    weekend = schedule(weekdays=frozenset({5, 6}))
    starts = list(weekend.starts())
    assert (len(starts), starts[0].isoformat()) == (48, "2026-12-05T00:00:00+00:00")


def test_months_are_months_however_long() -> None:
    last = TUESDAY.replace(year=2027, month=5)
    months = schedule(window_seconds=MONTH, first=TUESDAY, last=last)
    assert [start.month for start in months.starts()] == [12, 1, 2, 3, 4, 5]
    assert months.is_window(last, last.replace(month=6))
    assert not months.is_window(last, last + timedelta(days=1))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"last": TUESDAY - timedelta(hours=1)}, InvalidOffer),
        ({"last": TUESDAY + timedelta(days=367)}, InvalidOffer),
        ({"first": TUESDAY + timedelta(minutes=15)}, InvalidOffer),
        ({"window_seconds": 5 * HOUR}, InvalidWindow),
        ({"window_seconds": MONTH}, InvalidOffer),  # the last one does not start a month
        ({"weekdays": frozenset()}, InvalidOffer),
        ({"weekdays": frozenset({-1})}, InvalidOffer),
        ({"curve": (None,) * HOURS}, InvalidOffer),
        ({"curve": (1,) * (HOURS + 1)}, InvalidOffer),
        ({"curve": (0,) * HOURS}, InvalidOffer),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(changes: dict[str, object], error: type[InvalidOffer]) -> None:
    with pytest.raises(error):
        schedule(**changes)


def test_every_length_fits_its_windows() -> None:
    for length in (15 * MINUTE, HOUR, 4 * HOUR, DAY):
        last = TUESDAY + timedelta(days=2) - timedelta(seconds=length)
        starts = list(schedule(window_seconds=length, last=last).starts())
        assert len(starts) == 2 * DAY // length
