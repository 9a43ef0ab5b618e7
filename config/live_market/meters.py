"""The meters' bot: both meters of a position tell what was used of it, and after the window that this was all."""

from __future__ import annotations

from collections import defaultdict
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
from settlement.metering.completeness_rules import watermark_root
from settlement.metering.events import COMPLETED_TYPE, REFUSED_TYPE, STARTED_TYPE, WATERMARK_TYPE
from settlement.metering.reconcile import RefusalReason

WINDOW = timedelta(seconds=WINDOW_SECONDS)
PATH = "/api/v1/usage-events"


class Meters:
    """All meters of the market. Knows since when it has told nothing, the positions of the present window, and what it
    told of each contract.

    Of a window that had begun before the bot did it never says that this was all: another one may have told of it.
    """

    def __init__(self, clients: Mapping[str, RestClient], random: Random) -> None:
        self._clients, self._random = clients, random
        self._told_at: datetime | None = None
        self._began_at: datetime | None = None
        self._delivering: dict[str, tuple[Window | None, list[dict[str, Any]]]] = {}
        self._told: dict[tuple[str, str], list[str]] = defaultdict(list)  # event ids by party and contract

    def act(self, now: datetime) -> None:
        """What was used since the last step of every position that is being delivered. Raises `RestRefused`."""
        since, self._told_at = self._told_at, now
        if since is None:
            self._began_at = now
            return
        self._tell_that_it_was_all(now)
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
        }
        ended = data | {
            "family": "tokenbourse",
            "usage": {"input": used.input_tokens, "cached": used.cached_tokens, "output": used.output_tokens},
        }
        if used.refused:
            ended["reason"] = RefusalReason.CAPACITY.value
        for party in (buyer.code, provider):
            start = _event(STARTED_TYPE, party, f"{data['request_id']}.start", now, data)
            end = _event(REFUSED_TYPE if used.refused else COMPLETED_TYPE, party, data["request_id"], now, ended)
            self._told[party, position["contract"]] += [start["id"], end["id"]]
            self._clients[party].post(PATH, [start, end])

    def _tell_that_it_was_all(self, now: datetime) -> None:
        """A watermark of every meter for each contract whose window is over."""
        for party, symbol in list(self._told):
            _, window = parse_symbol(symbol)
            if window.end > now:
                continue
            ids = self._told.pop((party, symbol))  # one that gets lost leaves the window open, no more
            if self._began_at is not None and self._began_at <= window.start:
                data = {
                    "contract": symbol,
                    "up_to": window.end.isoformat(),
                    "sequence": 1,
                    "events": len(ids),
                    "root": watermark_root(ids).hex(),
                }
                self._clients[party].post(PATH, [_event(WATERMARK_TYPE, party, f"{symbol}.1", window.end, data)])


def _event(kind: str, party: str, event_id: str, at: datetime, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": kind,
        "source": meter_code(party),
        "id": event_id,
        "time": at.isoformat(),
        "data": data,
    }
