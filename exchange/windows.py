"""Delivery windows and the symbols of contracts, such as `QWEN3-235B.CN-EAST.STD@20261201T14/1H`.

A window is half-open and in UTC. It starts at a multiple of its own length, which divides a day, or it is a calendar
month: so windows of one length never overlap and every contract has exactly one symbol. Minute lengths write the start
to the minute (`@20261201T1410/10MIN`), hours and days to the hour, months to the month (`@202612/1M`).

A length is known by its seconds. Months last 28 to 31 days, so theirs is a nominal `MONTH` of 30 days, which no other
window has: capacity is allocated to it and rules are made for it, while each window keeps its own seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from exchange.errors import InvalidSymbol, InvalidWindow

MINUTE, HOUR, DAY = 60, 3_600, 86_400
MONTH = 30 * DAY
MAX_PRODUCT_CODE = 48

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = (("D", DAY), ("H", HOUR), ("MIN", MINUTE))
_ONE_MONTH = "1M"
_LENGTH = re.compile(r"([1-9]\d{0,3})(D|H|MIN)", re.ASCII)
_PRODUCT_CODE = re.compile(r"[A-Z0-9]+(?:[.-][A-Z0-9]+)*", re.ASCII)
_START = re.compile(r"\d{6}(?:\d{2}T\d{2}(?:\d{2})?)?", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """`[start, end)`. Raises `InvalidWindow` unless it is in UTC, of a traded length and aligned to it."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for at in (self.start, self.end):
            _require_utc(at)
        if _is_month(self.start, self.end):
            return
        length = self.end - self.start
        if length % timedelta(seconds=1):
            raise InvalidWindow("A window lasts whole minutes.", length=str(length))
        _check_part_of_day(self.seconds)
        if (self.start - _EPOCH) % length:
            raise InvalidWindow(
                f"A window of {format_length(self.seconds)} starts at a UTC multiple of it, not at {self.start}.",
                start=self.start.isoformat(),
                length=format_length(self.seconds),
            )

    @property
    def seconds(self) -> int:
        """How long it really is."""
        return (self.end - self.start) // timedelta(seconds=1)

    @property
    def length(self) -> int:
        """What its length is known by: its seconds, `MONTH` for a calendar month."""
        return length_between(self.start, self.end)

    def contains(self, at: datetime) -> bool:
        return self.start <= at < self.end


def check_length(seconds: int) -> int:
    """`seconds`, if windows may be that long: whole minutes that divide a day, or `MONTH`. Else `InvalidWindow`."""
    return seconds if seconds == MONTH else _check_part_of_day(seconds)


def length_between(start: datetime, end: datetime) -> int:
    """What the length of the window `[start, end)` is known by."""
    return MONTH if _is_month(start, end) else (end - start) // timedelta(seconds=1)


def format_length(seconds: int) -> str:
    """3600 -> "1H": in the largest unit that divides it; `MONTH` -> "1M"."""
    if check_length(seconds) == MONTH:
        return _ONE_MONTH
    name, unit = next((name, unit) for name, unit in _UNITS if seconds % unit == 0)
    return f"{seconds // unit}{name}"


def parse_length(text: str) -> int:
    """ "10MIN" -> 600 seconds. Only the form that `format_length` writes is taken; raises `InvalidWindow`."""
    if text == _ONE_MONTH:
        return MONTH
    match = _LENGTH.fullmatch(text)
    if match is None:
        raise InvalidWindow("A window's length is written like 10MIN, 1H, 1D or 1M.", length=text)
    seconds = int(match[1]) * dict(_UNITS)[match[2]]
    if format_length(seconds) != text:
        raise InvalidWindow(f"Write {format_length(seconds)} instead of {text}.", length=text)
    return seconds


def window_at(at: datetime, seconds: int) -> Window:
    """The window of the given length that contains an instant."""
    _require_utc(at)
    if check_length(seconds) == MONTH:
        return window_from(at.replace(day=1, hour=0, minute=0, second=0, microsecond=0), seconds)
    return window_from(at - (at - _EPOCH) % timedelta(seconds=seconds), seconds)


def window_from(start: datetime, seconds: int) -> Window:
    """The window of the given length that starts at an instant. Raises `InvalidWindow` when none does."""
    if check_length(seconds) != MONTH:
        return Window(start, start + timedelta(seconds=seconds))
    _require_utc(start)
    if start != start.replace(day=1, hour=0, minute=0, second=0, microsecond=0):
        raise InvalidWindow(
            f"A month starts at midnight UTC of its first day, not at {start}.", start=start.isoformat()
        )
    return Window(start, _next_month(start))


def check_product_code(code: str) -> str:
    """`code`, if a product may be called so: capitals and digits, parted by single dots and hyphens."""
    if len(code) > MAX_PRODUCT_CODE or _PRODUCT_CODE.fullmatch(code) is None:
        raise InvalidSymbol(
            f"A product code is at most {MAX_PRODUCT_CODE} capitals and digits, parted by single dots or hyphens, "
            "such as QWEN3-235B.CN-EAST.STD.",
            product=code,
        )
    return code


def format_symbol(product_code: str, window: Window) -> str:
    """The symbol of a product's contract for a window."""
    start = window.start.strftime(_start_format(window.length))
    return f"{check_product_code(product_code)}@{start}/{format_length(window.length)}"


def parse_symbol(text: str) -> tuple[str, Window]:
    """The product code and window of a symbol; `InvalidSymbol` for anything that `format_symbol` does not write."""
    code, _, rest = text.partition("@")
    start_text, _, length_text = rest.partition("/")
    try:
        check_product_code(code)
        seconds = parse_length(length_text)
        if _START.fullmatch(start_text) is None:
            raise ValueError(start_text)
        start = datetime.strptime(start_text, _start_format(seconds)).replace(tzinfo=UTC)
        window = window_from(start, seconds)
        if format_symbol(code, window) != text:  # strptime takes fewer digits than it is written with
            raise ValueError(text)
        return code, window
    except (ValueError, OverflowError, InvalidWindow) as error:
        raise InvalidSymbol(
            f"{text!r} is not a symbol such as QWEN3-235B.CN-EAST.STD@20261201T14/1H.", symbol=text
        ) from error


def _is_month(start: datetime, end: datetime) -> bool:
    first = start.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return start == first and end == _next_month(start)


def _next_month(first: datetime) -> datetime:
    return (first + timedelta(days=31)).replace(day=1)


def _check_part_of_day(seconds: int) -> int:
    if seconds <= 0 or seconds % MINUTE or DAY % seconds:
        raise InvalidWindow(
            "A window's length is whole minutes that divide a day evenly, or a calendar month.", seconds=seconds
        )
    return seconds


def _start_format(seconds: int) -> str:
    if seconds == MONTH:
        return "%Y%m"
    return "%Y%m%dT%H" if seconds % HOUR == 0 else "%Y%m%dT%H%M"


def _require_utc(at: datetime) -> None:
    if at.utcoffset() != timedelta(0):
        raise InvalidWindow("Times of a window are in UTC.", at=at.isoformat())
