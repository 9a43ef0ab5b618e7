"""Which windows a rolling calendar lists, and at which prices. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from exchange.windows import Window, window_at, window_from
from ledger.money import div_ceil

PERMILLE = 1_000


@dataclass(frozen=True, slots=True)
class ListingPrices:
    """The figures of a contract's listing, in ticks."""

    listing_ticks: int
    band_low_ticks: int
    band_high_ticks: int


def windows_ahead(now: datetime, seconds: int, *, count: int, gate_close_lead: timedelta) -> list[Window]:
    """The next `count` windows of a length whose gate closes after `now`."""
    return list(islice(_windows_after(now + gate_close_lead, seconds), count))


def listing_prices(price_ticks: int, *, band_low_permille: int, band_high_permille: int) -> ListingPrices:
    """A price with its band: the lower end rounded up, the upper one down, so that neither is further than asked."""
    return ListingPrices(
        listing_ticks=price_ticks,
        band_low_ticks=div_ceil(price_ticks * band_low_permille, PERMILLE),
        band_high_ticks=price_ticks * band_high_permille // PERMILLE,
    )


def _windows_after(at: datetime, seconds: int) -> Iterator[Window]:
    """The windows that start later than `at`."""
    window = window_at(at, seconds)
    while True:
        window = window_from(window.end, seconds)
        yield window
