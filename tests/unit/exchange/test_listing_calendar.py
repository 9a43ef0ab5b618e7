"""Which windows are listed ahead, and at which prices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.listing_calendar import listing_prices, windows_ahead
from exchange.windows import DAY, HOUR, MINUTE, MONTH, format_symbol

LEAD = timedelta(minutes=10)
LENGTHS = (15 * MINUTE, HOUR, 4 * HOUR, DAY, MONTH)
instants = st.integers(946_684_800, 4_102_444_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@pytest.mark.parametrize(
    ("at", "seconds", "symbols"),
    [
        ("2026-12-01T13:49:59", HOUR, ["M@20261201T14/1H", "M@20261201T15/1H"]),
        ("2026-12-01T13:50:00", HOUR, ["M@20261201T15/1H", "M@20261201T16/1H"]),  # the gate closes in this instant
        ("2026-12-01T13:50:00", 15 * MINUTE, ["M@20261201T1415/15MIN", "M@20261201T1430/15MIN"]),
        ("2026-12-01T21:00:00", 4 * HOUR, ["M@20261202T00/4H", "M@20261202T04/4H"]),
        ("2026-12-31T10:00:00", DAY, ["M@20270101T00/1D", "M@20270102T00/1D"]),
        ("2026-12-31T23:49:00", MONTH, ["M@202701/1M", "M@202702/1M"]),
        ("2026-12-31T23:50:00", MONTH, ["M@202702/1M", "M@202703/1M"]),
    ],
)
def test_the_next_windows_are_those_whose_gate_is_still_to_close(at: str, seconds: int, symbols: list[str]) -> None:
    now = datetime.fromisoformat(at).replace(tzinfo=UTC)
    windows = windows_ahead(now, seconds, count=2, gate_close_lead=LEAD)
    assert [format_symbol("M", window) for window in windows] == symbols


@given(instants, st.sampled_from(LENGTHS), st.integers(1, 50), st.integers(0, 40 * DAY))
def test_they_follow_each_other_and_none_is_left_out(now: datetime, seconds: int, count: int, lead: int) -> None:
    ahead = timedelta(seconds=lead)
    windows = windows_ahead(now, seconds, count=count, gate_close_lead=ahead)
    assert len(windows) == count
    assert all(window.start - ahead > now for window in windows)
    assert windows[0].start - ahead - timedelta(seconds=32 * DAY if seconds == MONTH else seconds) <= now
    assert all(one.end == other.start for one, other in pairwise(windows))
    assert {window.length for window in windows} == {seconds}


@given(st.integers(1, 10**6), st.integers(1, 1_000), st.integers(1_000, 100_000))
def test_a_band_holds_its_price_and_is_no_wider_than_asked_for(price: int, low: int, high: int) -> None:
    prices = listing_prices(price, band_low_permille=low, band_high_permille=high)
    assert 1 <= prices.band_low_ticks <= price <= prices.band_high_ticks
    assert prices.band_low_ticks * 1_000 >= price * low
    assert prices.band_high_ticks * 1_000 <= price * high
