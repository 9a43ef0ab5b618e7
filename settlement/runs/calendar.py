"""When the runs of a settlement period are due, until when they can be disputed, and when they are paid. Pure.

All of it follows from the period and the calendar, never from a clock, so that nothing on a statement depends on when
a worker did its part.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from settlement.runs.errors import InvalidCalendar

SATURDAY = 5
DAY = timedelta(days=1)
NEVER = timedelta(0)


@dataclass(frozen=True, slots=True)
class Calendar:
    """Periods of whole minutes from midnight UTC (0: no run is made by itself), and lags after a period's end.

    Without an indicative or true-up lag there is no such run; the last of the others is the last scheduled one.
    """

    period: timedelta
    initial_lag: timedelta
    final_lag: timedelta
    indicative_lag: timedelta | None = None
    true_up_lag: timedelta | None = None
    dispute: timedelta = NEVER  # after a run was due

    @property
    def lags(self) -> dict[str, timedelta]:
        """The scheduled runs in their order, by kind."""
        lags = {
            "indicative": self.indicative_lag,
            "initial": self.initial_lag,
            "final": self.final_lag,
            "true_up": self.true_up_lag,
        }
        return {kind: lag for kind, lag in lags.items() if lag is not None}

    @property
    def last_kind(self) -> str:
        """The last scheduled run: with it intake of usage ends, and after it what is held is freed."""
        return "final" if self.true_up_lag is None else "true_up"


def due_at(kind: str, period_end: datetime, calendar: Calendar) -> datetime:
    """When a scheduled run is due. Raises `InvalidCalendar` for a kind that the calendar does not have."""
    lag = calendar.lags.get(kind)
    if lag is None:
        raise InvalidCalendar(f"This calendar has no {kind} run.", field=kind)
    return period_end + lag


def dispute_deadline(kind: str, period_end: datetime, calendar: Calendar) -> datetime | None:
    """Until when lines of a run can be disputed; None if they cannot, as of indicative and disputed-final runs."""
    if kind in ("indicative", "disputed_final"):
        return None
    return due_at(kind, period_end, calendar) + calendar.dispute


def value_date(due: datetime) -> date:
    """When what follows from a run is paid: the first weekday after the day that it was due."""
    day = due.astimezone(UTC).date() + DAY
    while day.weekday() >= SATURDAY:
        day += DAY
    return day


def period_start(moment: datetime, period: timedelta) -> datetime:
    """The start of the period `(start, start + period]` that holds a moment; periods count from midnight UTC."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    into_day = moment - midnight
    return midnight + period * (-(-into_day // period) - 1)
