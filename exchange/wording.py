"""Windows and prices in words, for people. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time

from exchange.windows import DAY, HOUR, MINUTE, MONTH, length_between
from ledger.money import format_micros

DECIMALS_MIN = 2  # as prices are usually written


def describe_window(start: datetime, end: datetime) -> str:
    """ "Tue 1 Dec, 14:00–15:00 UTC". Only months cross midnight; a window that ends there ends at 24:00."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    if length_between(start, end) == MONTH:
        return f"{start:%B %Y}, all month UTC"
    day = f"{start:%a} {start.day} {start:%b}"
    if start.time() == end.time() == time.min:
        return f"{day}, all day UTC"
    until = "24:00" if end.time() == time.min else f"{end:%H:%M}"
    return f"{day}, {start:%H:%M}\N{EN DASH}{until} UTC"


def describe_length(seconds: int) -> str:
    """3600 -> "1 hour", 600 -> "10 minutes"."""
    for name, unit in (("month", MONTH), ("day", DAY), ("hour", HOUR), ("minute", MINUTE)):
        if seconds % unit == 0:
            number = seconds // unit
            return f"{number} {name}" if number == 1 else f"{number} {name}s"
    return f"{seconds} seconds"


def price_writer(tick_micros: int) -> Callable[[int], str]:
    """How prices in ticks of this size are written: with as many decimals as the tick has, at least two."""
    digits = format_micros(tick_micros).partition(".")[2].rstrip("0")
    cut = max(len(digits), DECIMALS_MIN) - len("000000")

    def write(ticks: int) -> str:
        text = format_micros(ticks * tick_micros)
        return text[:cut] if cut else text

    return write
