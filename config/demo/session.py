"""When a day's windows are traded: in one session on the afternoon before, as electricity is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from exchange.windows import Window

LISTING, GATE_OPEN, GATE_CLOSE = (time(hour, tzinfo=UTC) for hour in (12, 13, 17))
PERMILLE = 1_000


@dataclass(frozen=True, slots=True)
class Session:
    """All contracts of the day are listed, open and close together."""

    listing: datetime
    gate_open: datetime
    gate_close: datetime

    def at(self, permille: int) -> datetime:
        """An instant so far into the trading."""
        return self.gate_open + (self.gate_close - self.gate_open) * permille // PERMILLE


def day_before(first: Window) -> Session:
    """The session of a day that starts with this window."""
    day = first.start.date() - timedelta(days=1)
    return Session(*(datetime.combine(day, moment) for moment in (LISTING, GATE_OPEN, GATE_CLOSE)))
