"""What the meters of a day say, and when it arrives. Pure and seeded.

Each request is reported twice: by its provider's meter and by its buyer's. 1 % of the events arrive twice and 1 % late,
one window after their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from config.catalogue import meter_code
from config.demo.assignment import Use
from config.demo.chance import stream
from exchange.windows import Window
from settlement.metering.envelope import COMPLETED_TYPE, REFUSED_TYPE
from settlement.metering.reconcile import RefusalReason

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


def plan_arrivals(uses: Iterable[Use], windows: Iterable[Window], *, seed: int) -> list[Arrival]:
    """One arrival a window, at its end, and a last one for what is late then."""
    random = stream(seed, "arrivals")
    place = {window: index for index, window in enumerate(windows)}
    arrivals = [Arrival() for _ in range(len(place) + 1)]
    for use in uses:
        on_time = place[use.holding.window]
        for party in (use.holding.provider, use.holding.buyer):
            event = usage_event(use, party)
            late = random.randrange(PERMILLE) < LATE_PERMILLE
            arrivals[on_time + late].events[party].append(event)
            if random.randrange(PERMILLE) < TWICE_PERMILLE:
                again = min(on_time + late + random.randrange(2), len(arrivals) - 1)
                arrivals[again].events[party].append(event)
    return arrivals


def usage_event(use: Use, party: str) -> Event:
    """The CloudEvent of a party's meter about a request. A refusal carries the tokens that were asked for."""
    request, holding = use.request, use.holding
    accepted_at = request.at.isoformat()
    data = {
        "contract": holding.symbol,
        "buyer": holding.buyer,
        "provider": holding.provider,
        "request_id": f"request-{request.number}",
        "accepted_at": accepted_at,
        "family": "openai_chat",
        "usage": {
            "prompt_tokens": request.input_tokens,
            "prompt_tokens_details": {"cached_tokens": request.cached_tokens},
            "completion_tokens": request.output_tokens,
            "total_tokens": request.input_tokens + request.output_tokens,
        },
    }
    if use.refused:
        data["reason"] = RefusalReason.CAPACITY.value
    return {
        "specversion": "1.0",
        "type": REFUSED_TYPE if use.refused else COMPLETED_TYPE,
        "source": meter_code(party),
        "id": f"{request.number}",
        "time": accepted_at,
        "datacontenttype": "application/json",
        "data": data,
    }
