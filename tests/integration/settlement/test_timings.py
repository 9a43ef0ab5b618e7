"""How fast a request was served is stored with it, and is part of what the event says."""

from __future__ import annotations

from typing import Any

from settlement.metering.events import CORRECTION_TYPE, REFUSED_TYPE
from settlement.metering.results import ItemStatus
from settlement.models import UsageEvent
from tests.integration.settlement.trading_day import TradingDay, usage


def timed(id: str, **members: Any) -> dict[str, Any]:
    event = usage(id, 1_000)
    return event | {"data": event["data"] | members}


def stored(id: str) -> tuple[str, int | None, int | None]:
    event = UsageEvent.objects.get(event_id=id)
    return event.kind, event.ttft_ms, event.output_ms


def test_timings_are_stored_where_a_meter_tells_them(day: TradingDay) -> None:
    day.deliver()
    corrected = timed("e", request_id="a", supersedes="a", why="another clock", replacement="completed", ttft_ms=300)
    events = [
        timed("a", ttft_ms=230, output_ms=4_100),
        timed("b", ttft_ms=0),
        timed("c"),
        timed("d", reason="capacity", ttft_ms=9, output_ms=9) | {"type": REFUSED_TYPE},
        corrected | {"type": CORRECTION_TYPE},
    ]
    assert {result.status for result in day.report("provider-1", events)} == {ItemStatus.ACCEPTED}
    assert [stored(id) for id in "abcde"] == [
        ("completed", 230, 4_100),
        ("completed", 0, None),
        ("completed", None, None),
        ("refused", None, None),
        ("completed", 300, None),
    ]
    (again, other) = day.report("provider-1", [timed("a", ttft_ms=230, output_ms=4_100), timed("a", ttft_ms=231)])
    assert (again.status, other.status) == (ItemStatus.DUPLICATE, ItemStatus.CONFLICT)
