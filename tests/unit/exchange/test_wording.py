from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from exchange.wording import describe_length, describe_window, price_writer

START = datetime(2026, 12, 1, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "seconds", "words"),
    [
        (START, 3_600, "Tue 1 Dec, 14:00–15:00 UTC"),
        (START + timedelta(minutes=10), 600, "Tue 1 Dec, 14:10–14:20 UTC"),
        (START.replace(hour=23), 3_600, "Tue 1 Dec, 23:00–24:00 UTC"),
        (START.replace(hour=0), 86_400, "Tue 1 Dec, all day UTC"),
        (START.replace(hour=0), 31 * 86_400, "December 2026, all month UTC"),
        (START.astimezone(timezone(timedelta(hours=8))), 3_600, "Tue 1 Dec, 14:00–15:00 UTC"),
    ],
)
def test_windows_in_words(start: datetime, seconds: int, words: str) -> None:
    assert describe_window(start, start + timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (30 * 86_400, "1 month"),
        (86_400, "1 day"),
        (7_200, "2 hours"),
        (3_600, "1 hour"),
        (600, "10 minutes"),
        (90, "90 seconds"),
    ],
)
def test_lengths_in_words(seconds: int, words: str) -> None:
    assert describe_length(seconds) == words


@pytest.mark.parametrize(
    ("tick_micros", "ticks", "text"),
    [
        (10_000, 421, "4.21"),
        (1_000, 421, "0.421"),
        (1_000_000, 4, "4.00"),
        (500_000, 3, "1.50"),
        (1, 4_210_001, "4.210001"),
        (25_000, 5, "0.125"),
    ],
)
def test_prices_have_the_decimals_of_their_tick(tick_micros: int, ticks: int, text: str) -> None:
    assert price_writer(tick_micros)(ticks) == text
