"""What the meters of a day say, and when it arrives. Pure and seeded.

Each request is reported by its provider's meter and by its buyer's: that it started, and how it ended. 1 % of the ends
arrive twice and 1 % late, one window after their own. A window after it ended, each meter says how many events it sent
of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from config.catalogue import meter_code
from config.demo.chance import stream
from config.demo.faults import Told
from exchange.windows import Window
from settlement.metering.completeness_rules import watermark_root
from settlement.metering.events import COMPLETED_TYPE, REFUSED_TYPE, STARTED_TYPE, WATERMARK_TYPE
from settlement.metering.records import RefusalReason

PERMILLE = 1_000
TWICE_PERMILLE = 10
LATE_PERMILLE = 10

Event = dict[str, Any]


@dataclass(slots=True)
class Arrival:
    """The events that arrive at one moment of the day, by the code of the party whose meter sends them."""

    events: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))

    @property
    def count(self) -> int:
        return sum(map(len, self.events.values()))


@dataclass(frozen=True, slots=True)
class ArrivalPlan:
    """One arrival a window, at its end, and a last one for what is late then; how many events come again, and late."""

    arrivals: list[Arrival]
    duplicates: int
    late: int

    @property
    def count(self) -> int:
        return sum(arrival.count for arrival in self.arrivals)


def plan_arrivals(requests: Iterable[Told], windows: Iterable[Window], *, seed: int) -> ArrivalPlan:
    """When each event of the day is sent."""
    random = stream(seed, "arrivals")
    place = {window: index for index, window in enumerate(windows)}
    arrivals = [Arrival() for _ in range(len(place) + 1)]
    sent: dict[tuple[str, str, Window], list[str]] = defaultdict(list)
    duplicates, late_ones = 0, 0
    for told in requests:
        holding = told.use.holding
        on_time = place[holding.window]
        for party in (holding.provider, holding.buyer):
            ids = sent[party, holding.symbol, holding.window]
            start = start_event(told, party)
            arrivals[on_time].events[party].append(start)
            ids.append(start["id"])
            late = random.randrange(PERMILLE) < LATE_PERMILLE
            twice = random.randrange(PERMILLE) < TWICE_PERMILLE
            again = min(on_time + late + random.randrange(2), len(arrivals) - 1)
            if party == told.lost_by:
                continue
            end = end_event(told, party)
            arrivals[on_time + late].events[party].append(end)
            ids.append(end["id"])
            late_ones += late
            if twice:
                arrivals[again].events[party].append(end)
                duplicates += 1
    for (party, symbol, window), ids in sent.items():
        arrivals[place[window] + 1].events[party].append(watermark_event(party, symbol, window, ids))
    return ArrivalPlan(arrivals, duplicates, late_ones)


def start_event(told: Told, party: str) -> Event:
    """The CloudEvent of a party's meter that a request began."""
    event = _envelope(told, party, STARTED_TYPE)
    return event | {"id": f"{event['id']}.start"}


def end_event(told: Told, party: str) -> Event:
    """The CloudEvent of a party's meter about how a request ended. A refusal carries the tokens that were asked for."""
    use = told.use
    request = use.request
    event = _envelope(told, party, REFUSED_TYPE if use.refused else COMPLETED_TYPE)
    added, reasoning = 0, told.reasoning_tokens
    if party == use.holding.provider:
        added, reasoning = told.shaved_tokens + told.inflated_tokens, reasoning + told.inflated_tokens
    event["data"] |= {
        "family": "openai_chat",
        "usage": {
            "prompt_tokens": request.input_tokens,
            "prompt_tokens_details": {"cached_tokens": request.cached_tokens},
            "completion_tokens": request.output_tokens + added,
            "completion_tokens_details": {"reasoning_tokens": reasoning},
            "total_tokens": request.input_tokens + request.output_tokens + added,
        },
    }
    if use.refused:
        event["data"]["reason"] = RefusalReason.CAPACITY.value
    return event


def watermark_event(party: str, symbol: str, window: Window, ids: Iterable[str]) -> Event:
    """The CloudEvent by which a party's meter says that these are all its events of a window."""
    events = sorted(set(ids))
    up_to = window.end.isoformat()
    return {
        "specversion": "1.0",
        "type": WATERMARK_TYPE,
        "source": meter_code(party),
        "id": f"{symbol}.1",
        "time": up_to,
        "data": {
            "contract": symbol,
            "up_to": up_to,
            "sequence": 1,
            "events": len(events),
            "root": watermark_root(events).hex(),
        },
    }


def _envelope(told: Told, party: str, kind: str) -> Event:
    request, holding = told.use.request, told.use.holding
    accepted_at = request.at.isoformat()
    return {
        "specversion": "1.0",
        "type": kind,
        "source": meter_code(party),
        "id": f"{request.number}",
        "time": accepted_at,
        "data": {
            "contract": holding.symbol,
            "buyer": holding.buyer,
            "provider": holding.provider,
            "request_id": told.request_id,
            "accepted_at": accepted_at,
        },
    }
