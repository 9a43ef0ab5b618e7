"""When runs are due, until when they can be disputed, and when what follows is paid."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from settlement.runs.calendar import Calendar, dispute_deadline, due_at, period_start, value_date
from settlement.runs.errors import InvalidCalendar

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
END = datetime(2026, 12, 3, 14, tzinfo=UTC)  # a Thursday
WHOLE = Calendar(HOUR, DAY, 8 * DAY, indicative_lag=HOUR / 4, true_up_lag=36 * DAY, dispute=10 * DAY)
BARE = Calendar(HOUR, DAY, 8 * DAY)


def test_each_run_is_due_its_lag_after_the_period() -> None:
    assert list(WHOLE.lags) == ["indicative", "initial", "final", "true_up"]
    assert due_at("initial", END, WHOLE) == END + DAY
    assert due_at("true_up", END, WHOLE) == END + 36 * DAY
    assert (WHOLE.last_kind, BARE.last_kind) == ("true_up", "final")
    for kind in ("indicative", "true_up", "disputed_final"):
        with pytest.raises(InvalidCalendar):
            due_at(kind, END, BARE)


def test_the_deadline_follows_from_the_due_time_and_not_from_the_clock() -> None:
    assert dispute_deadline("final", END, WHOLE) == END + 18 * DAY
    assert dispute_deadline("indicative", END, WHOLE) is None
    assert dispute_deadline("disputed_final", END, WHOLE) is None


def test_money_moves_on_the_first_weekday_after() -> None:
    assert value_date(END) == date(2026, 12, 4)
    assert value_date(END + DAY) == date(2026, 12, 7)  # due on a Friday
    assert value_date(END + 3 * DAY) == date(2026, 12, 7)


@pytest.mark.parametrize("minutes", [1, 60, 360, 1_440])
def test_every_moment_lies_in_the_period_that_starts_before_it_and_ends_with_it(minutes: int) -> None:
    period = timedelta(minutes=minutes)
    for moment in (END, END + timedelta(minutes=1), END.replace(hour=0, minute=0), END + timedelta(seconds=1)):
        start = period_start(moment, period)
        assert start < moment <= start + period
        assert (start - datetime(2026, 1, 1, tzinfo=UTC)) % period == timedelta(0)
