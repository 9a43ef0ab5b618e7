"""The meters' bot: both meters of a position tell what was used of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from config.catalogue import BUYERS, MODELS, BuyerFacts, meter_code
from config.first_market import WINDOW_SECONDS
from config.live_market.habits import usage_of_step
from config.rest_client import RestClient
from exchange.windows import Window, parse_symbol, window_at
from settlement.metering.envelope import COMPLETED_TYPE, REFUSED_TYPE
from settlement.metering.reconcile import RefusalReason

WINDOW = timedelta(seconds=WINDOW_SECONDS)


class Meters:
    """All meters of the market. Knows since when it has told nothing, and the positions of the present window."""

    def __init__(self, clients: Mapping[str, RestClient], random: Random) -> None:
        self._clients, self._random = clients, random
        self._told_at: datetime | None = None
        self._delivering: dict[str, tuple[Window | None, list[dict[str, Any]]]] = {}

    def act(self, now: datetime) -> None:
        """What was used since the last step of every position that is being delivered. Raises `RestRefused`."""
        since, self._told_at = self._told_at, now
        if since is None:
            return
        window = window_at(now, WINDOW_SECONDS)
        for buyer in BUYERS:
            for position in self._positions(buyer.code, window):
                self._report(buyer, position, since, now)

    def _positions(self, buyer: str, window: Window) -> list[dict[str, Any]]:
        """A buyer's positions in the window that is delivered now: asked for once, since gates have closed on them."""
        known_of, positions = self._delivering.get(buyer, (None, []))
        if known_of != window:
            listed = self._clients[buyer].list("/api/v1/positions")
            positions = [each for each in listed if parse_symbol(each["contract"])[1] == window]
            self._delivering[buyer] = (window, positions)
        return positions

    def _report(self, buyer: BuyerFacts, position: Mapping[str, Any], since: datetime, now: datetime) -> None:
        _, window = parse_symbol(position["contract"])
        seconds = now - max(since, window.start)
        used = usage_of_step(MODELS[buyer.product], int(position["tokens"]), seconds / WINDOW, self._random)
        if used is None:
            return
        provider = position["counterparty"]
        data: dict[str, Any] = {
            "contract": position["contract"],
            "buyer": buyer.code,
            "provider": provider,
            "request_id": UUID(int=self._random.getrandbits(128), version=4).hex,
            "accepted_at": now.isoformat(),
            "family": "tokenbourse",
            "usage": {"input": used.input_tokens, "cached": used.cached_tokens, "output": used.output_tokens},
        }
        if used.refused:
            data["reason"] = RefusalReason.CAPACITY.value
        for party in (buyer.code, provider):
            event = {
                "specversion": "1.0",
                "type": REFUSED_TYPE if used.refused else COMPLETED_TYPE,
                "source": meter_code(party),
                "id": data["request_id"],
                "time": now.isoformat(),
                "data": data,
            }
            self._clients[party].post("/api/v1/usage-events", [event])
