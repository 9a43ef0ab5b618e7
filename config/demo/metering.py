"""The day itself: window after window passes, and every meter reports over REST."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from config.demo.bots import Bots, side_by_side
from config.demo.clockwork import Clockwork
from config.demo.failure import DemoFailed
from config.demo.report import UsageEvents
from config.demo.usage import Arrival, Event
from exchange.windows import Window

BATCH_EVENTS = 500
LAST_ARRIVAL_AFTER = timedelta(minutes=10)


class EventsRefused(DemoFailed):
    """The exchange did not take an event as the demo's honest meters sent it."""


def report_usage(
    arrivals: Sequence[Arrival],
    windows: Sequence[Window],
    *,
    bots: Bots,
    clockwork: Clockwork,
    advance: Callable[[int], object],
) -> UsageEvents:
    """Send every arrival at its time; calls `advance` with the number of events sent. Raises `EventsRefused`."""
    answered: Counter[str] = Counter()
    moments: list[datetime] = [window.end for window in windows]
    moments.append(moments[-1] + LAST_ARRIVAL_AFTER)
    for moment, arrival in zip(moments, arrivals, strict=True):
        clockwork.go_to(moment)
        clockwork.ring()  # deliveries start and end; nobody has to wait for that

        def send(batch: tuple[str, list[Event]]) -> Counter[str]:
            party, events = batch
            items = bots.of(party).post("/api/v1/usage-events", events)["items"]
            advance(len(events))
            return Counter(item["code"] for item in items)

        for counted in side_by_side(send, _batches(arrival)):
            answered += counted
    accepted, duplicates = answered.pop("accepted", 0), answered.pop("duplicate", 0)
    if answered:
        raise EventsRefused(", ".join(f"{count} events: {code}" for code, count in sorted(answered.items())))
    return UsageEvents(sum(arrival.count for arrival in arrivals), accepted, duplicates)


def _batches(arrival: Arrival) -> Iterator[tuple[str, list[Event]]]:
    for party, events in arrival.events.items():
        for start in range(0, len(events), BATCH_EVENTS):
            yield party, events[start : start + BATCH_EVENTS]
