"""The periods that are sealed: UTC days and months. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from ledger.log.errors import InvalidSealPeriod

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Period:
    """A day or month by its name; it ends where the next begins."""

    name: str
    ends_at: datetime


def parse_period(name: str) -> Period:
    """`2026-12-01` or `2026-12`. Raises `InvalidSealPeriod`."""
    try:
        if _DAY.fullmatch(name):
            return _day(date.fromisoformat(name))
        if _MONTH.fullmatch(name):
            return _month(date.fromisoformat(f"{name}-01"))
    except (ValueError, OverflowError):
        pass
    raise InvalidSealPeriod(f"{name!r} is not a day such as 2026-12-01 or a month such as 2026-12.", period=name)


def periods_between(first: datetime, until: datetime) -> Iterator[Period]:
    """The days and months from those of `first` on that have ended by `until`, in the order of their ends."""
    day = first.astimezone(UTC).date()
    while (period := _day(day)).ends_at <= until:
        yield period
        month = _month(day)
        if month.ends_at == period.ends_at:
            yield month
        day += timedelta(days=1)


def _day(day: date) -> Period:
    return Period(f"{day:%Y-%m-%d}", _midnight(day + timedelta(days=1)))


def _month(day: date) -> Period:
    return Period(f"{day:%Y-%m}", _midnight(date(day.year + day.month // 12, day.month % 12 + 1, 1)))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
