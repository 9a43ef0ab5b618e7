"""Times as meters write them: RFC 3339. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_FORM = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:)(?:[0-5]\d|(60))(?:\.\d+)?(Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII | re.IGNORECASE,
)
# What nearly all meters send, told by its separators: UTC with up to six digits. There the standard library's reader,
# which is quicker and takes more forms than RFC 3339 has, cannot be mistaken.
_SEPARATORS = slice(4, 20, 3)
_USUAL = frozenset({"--T::Z", "--T::.", "--T::+"})
_NO_FRACTION = (".Z", ".+")


def parse_instant(text: str) -> datetime:
    """An RFC 3339 time in UTC, to the microsecond: further digits are cut, never rounded up.

    Second 60 counts on any minute, as nobody can know leap seconds ahead, and is read as the last microsecond of its
    minute. Raises `ValueError` for any other form, for a time without offset, and beyond the years 1 to 9999 in UTC.
    """
    if _is_usual(text):
        try:
            return datetime.fromisoformat(text)
        except ValueError:  # a leap second, perhaps
            pass
    form = _FORM.fullmatch(text)
    if form is None:
        raise ValueError("not an RFC 3339 time with its offset")
    minute, leap, offset = form.groups()
    moment = datetime.fromisoformat((f"{minute}59.999999{offset}" if leap else text).upper())
    if moment.tzinfo is UTC:
        return moment
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("out of the years 1 to 9999 in UTC") from None


def _is_usual(text: str) -> bool:
    if text[_SEPARATORS] not in _USUAL or text[19:21] in _NO_FRACTION:
        return False
    return len(text) <= 27 if text[-1] == "Z" else len(text) <= 32 and text.endswith("+00:00")
