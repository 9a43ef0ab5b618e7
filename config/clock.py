"""Where the product's time comes from: the system, or a row that only the demo driver advances.

`settings.CLOCK` names one of the two; `ledger.clock.get_clock()` hands it to whoever starts something.
"""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SimulatedClock:
    """The time of a simulation, shared by all processes through the database."""

    def now(self) -> datetime:
        from ledger.models import SimulatedClock as ClockRow  # models load after settings

        return ClockRow.objects.values_list("now", flat=True).get(id=1)

    def set(self, now: datetime) -> None:
        """Advance to `now`; the demo driver's call alone. Time never goes back."""
        from ledger.models import SimulatedClock as ClockRow

        row, created = ClockRow.objects.get_or_create(id=1, defaults={"now": now})
        if not created and now > row.now:
            ClockRow.objects.filter(id=1).update(now=now)
