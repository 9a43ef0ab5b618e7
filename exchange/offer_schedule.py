"""When an offer sells and for how much: weekdays and prices by the hour, both of the UTC start of a window. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from exchange.errors import InvalidOffer
from exchange.windows import length_between, window_at

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EVERY_DAY = frozenset(range(len(DAYS)))
HOURS = 24
MAX_RANGE = timedelta(days=366)

Curve = tuple[int | None, ...]  # ticks by UTC hour; None: windows that start in this hour are not offered
Prices = int | Curve

_SEPARATOR = re.compile(r"[,;\n]")
_RANGE = re.compile(r"(\d{1,2})(?::00)?\s*[-\N{EN DASH}]\s*(\d{1,2})(?::00)?\s*[:=\s]\s*(\S+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Windows of one length from the one starting at `first` to the one starting at `last`, on some weekdays.

    Raises `InvalidWindow` for a start that is not one, and `InvalidOffer` for a range, weekdays or prices that make no
    sense.
    """

    window_seconds: int
    first: datetime
    last: datetime
    weekdays: frozenset[int]
    curve: Curve

    def __post_init__(self) -> None:
        for at in (self.first, self.last):
            if window_at(at, self.window_seconds).start != at:
                raise InvalidOffer(f"No window of this length starts at {at:%Y-%m-%d %H:%M}.", field="first_delivery")
        if not timedelta(0) <= self.last - self.first <= MAX_RANGE:
            raise InvalidOffer(f"An offer covers one window to {MAX_RANGE.days} days of them.", field="last_delivery")
        if not self.weekdays or not self.weekdays <= EVERY_DAY:
            raise InvalidOffer("An offer names at least one day of the week, from 0 (Monday) to 6.", field="weekdays")
        if len(self.curve) != HOURS:
            raise InvalidOffer("A price curve has one price for each of the 24 hours.", field="price")
        if lowest(self.curve) < 1:
            raise InvalidOffer("A price is at least one tick.", field="price")

    def is_window(self, start: datetime, end: datetime) -> bool:
        """Whether it is as long as the offer's windows are."""
        return length_between(start, end) == self.window_seconds

    def price_at(self, start: datetime) -> int | None:
        """Ticks asked for the window that starts then; None when it is not offered."""
        if not self.first <= start <= self.last or start.weekday() not in self.weekdays:
            return None
        return self.curve[start.hour]

    def offers(self, start: datetime, end: datetime) -> bool:
        return self.is_window(start, end) and self.price_at(start) is not None

    def starts(self) -> Iterator[datetime]:
        """Of the windows that are offered, in order."""
        start = self.first
        while start <= self.last:
            if self.price_at(start) is not None:
                yield start
            start = window_at(start, self.window_seconds).end


def curve_of(prices: Prices) -> Curve:
    """One price stands for every hour."""
    return (prices,) * HOURS if isinstance(prices, int) else prices


def prices_of(curve: Curve) -> Prices:
    """One price, if it is that in every hour."""
    first = curve[0]
    return first if first is not None and set(curve) == {first} else curve


def lowest(curve: Curve) -> int:
    """The lowest price. Raises `InvalidOffer` for a curve that has none."""
    prices = [ticks for ticks in curve if ticks is not None]
    if not prices:
        raise InvalidOffer("An offer has a price, or one for some of the 24 hours.", field="price")
    return min(prices)


def parse_curve(text: str, to_ticks: Callable[[str], int]) -> Curve:
    """ "4.21" for every hour, "00-08: 3.9, 08-20: 4.21" (other hours are not offered), or 24 prices from 00:00 on.

    A range may pass midnight ("20-06"). `to_ticks` reads one price and raises its own refusals. Raises `InvalidOffer`.
    """
    parts = [part.strip() for part in _SEPARATOR.split(text) if part.strip()]
    if any(_RANGE.fullmatch(part) for part in parts):
        return _from_ranges(parts, to_ticks)
    prices = [price for part in parts for price in part.split()]
    if len(prices) not in (1, HOURS):
        raise _unreadable(text)
    ticks = [to_ticks(price) for price in prices]
    return tuple(ticks * HOURS if len(ticks) == 1 else ticks)


def describe_curve(curve: Curve, write: Callable[[int], str]) -> str:
    """As `parse_curve` reads it: "4.21", or "00-08: 3.90, 08-20: 4.21"."""
    runs = [(ticks, [hour for hour, _ in run]) for ticks, run in groupby(enumerate(curve), key=lambda pair: pair[1])]
    if len(runs) == 1 and runs[0][0] is not None:
        return write(runs[0][0])
    return ", ".join(
        f"{hours[0]:02d}-{hours[-1] + 1:02d}: {write(ticks)}" for ticks, hours in runs if ticks is not None
    )


def describe_weekdays(weekdays: Iterable[int]) -> str:
    """ "every day", "Mon\N{EN DASH}Fri", "Mon, Wed, Sat\N{EN DASH}Sun"."""
    days = sorted(weekdays)
    if len(days) == len(DAYS):
        return "every day"
    runs = [[day for _, day in run] for _, run in groupby(enumerate(days), key=lambda pair: pair[1] - pair[0])]
    return ", ".join(DAYS[run[0]] if len(run) == 1 else f"{DAYS[run[0]]}\N{EN DASH}{DAYS[run[-1]]}" for run in runs)


def pack_weekdays(weekdays: Iterable[int]) -> int:
    """As an offer's row keeps them: bit 0 is Monday."""
    return sum(1 << day for day in set(weekdays))


def unpack_weekdays(packed: int) -> frozenset[int]:
    return frozenset(day for day in EVERY_DAY if packed >> day & 1)


def _from_ranges(parts: Iterable[str], to_ticks: Callable[[str], int]) -> Curve:
    curve: list[int | None] = [None] * HOURS
    for part in parts:
        match = _RANGE.fullmatch(part)
        if match is None:
            raise _unreadable(part)
        begin, end = int(match[1]), int(match[2])
        if begin >= HOURS or end > HOURS or begin == end:
            raise _unreadable(part)
        hours = range(begin, end if begin < end else end + HOURS)
        ticks = to_ticks(match[3])
        for hour in hours:
            if curve[hour % HOURS] is not None:
                raise InvalidOffer(f"There are two prices for {hour % HOURS:02d}:00.", field="price", hour=hour % HOURS)
            curve[hour % HOURS] = ticks
    return tuple(curve)


def _unreadable(text: str) -> InvalidOffer:
    return InvalidOffer(
        f"{text!r} is not a price such as 4.21, ranges of hours such as 00-08: 3.90, 08-20: 4.21, or 24 prices.",
        field="price",
    )
