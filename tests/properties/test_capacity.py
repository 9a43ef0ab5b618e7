"""A site is never oversold: allocations against a sum over every minute, and against what may be sold in windows."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from exchange.capacity import PPM, Allocation, validate_allocations, window_capacity
from exchange.errors import AllocationExceeded, InvalidCapacity
from exchange.windows import DAY, HOUR, MINUTE, MONTH, Window, window_at

LENGTHS = (15 * MINUTE, HOUR, 4 * HOUR, DAY, MONTH)
FROM = datetime(2027, 2, 27, 22, tzinfo=UTC)  # over the end of a short month
MINUTES = 8 * 60


def allocations(largest: int) -> st.SearchStrategy[list[Allocation]]:
    one = st.builds(Allocation, st.integers(1, 3), st.sampled_from(LENGTHS), st.integers(1, largest))
    return st.lists(one, min_size=1, max_size=8)


def windows_of(length: int) -> list[Window]:
    """All windows of a length that touch the minutes looked at."""
    window, found = window_at(FROM, length), []
    while window.start < FROM + timedelta(minutes=MINUTES):
        found.append(window)
        window = window_at(window.end, length)
    return found


def busiest_minute(wanted: list[Allocation]) -> int:
    """The most parts of the site that are promised in any minute, counted window by window."""
    promised: dict[int, int] = defaultdict(int)
    for allocation in wanted:
        for window in windows_of(allocation.window_seconds):
            for minute in range(MINUTES):
                if window.contains(FROM + timedelta(minutes=minute)):
                    promised[minute] += allocation.ppm
    return max(promised.values())


@given(allocations(400_000))
@example([Allocation(1, length, PPM // len(LENGTHS)) for length in LENGTHS])
@example([Allocation(1, HOUR, PPM // 2), Allocation(1, DAY, PPM // 2), Allocation(1, MONTH, 1)])
def test_a_declaration_is_refused_exactly_when_some_minute_is_oversold(wanted: list[Allocation]) -> None:
    pairs = {(each.product_id, each.window_seconds) for each in wanted}
    try:
        validate_allocations(wanted)
    except InvalidCapacity:
        assert len(pairs) < len(wanted)  # one is there twice
    except AllocationExceeded:
        assert busiest_minute(wanted) > PPM
    else:
        assert len(pairs) == len(wanted)
        assert busiest_minute(wanted) <= PPM


@given(allocations(PPM // 8), st.integers(1, 10**9))
def test_all_that_may_be_sold_is_less_than_the_site_delivers_in_every_minute(
    wanted: list[Allocation], tokens_per_s: int
) -> None:
    """Each window delivers its tokens evenly; in a minute that is tokens * 60 / seconds, never rounded up."""
    for minute in range(0, MINUTES, 7):
        at = FROM + timedelta(minutes=minute)
        sold = [
            (window_capacity(tokens_per_s, each.ppm, window.seconds), window.seconds)
            for each in wanted
            for window in [window_at(at, each.window_seconds)]
        ]
        common = DAY * 31 * 28  # every length divides it
        assert all(common % seconds == 0 for _, seconds in sold)
        assert sum(tokens * (common // seconds) for tokens, seconds in sold) <= tokens_per_s * common
