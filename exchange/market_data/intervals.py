"""The lengths of candles."""

from __future__ import annotations

from enum import StrEnum

from exchange.windows import DAY, HOUR, MINUTE


class Interval(StrEnum):
    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def seconds(self) -> int:
        return _SECONDS[self]


_SECONDS = {
    Interval.MINUTE: MINUTE,
    Interval.FIVE_MINUTES: 5 * MINUTE,
    Interval.HOUR: HOUR,
    Interval.DAY: DAY,
}
