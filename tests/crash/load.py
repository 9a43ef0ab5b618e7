"""Clients that send everything there is to send, for as long as something is being broken behind them."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import connections

from exchange.models import IntakeKind, IntakeResult
from exchange.sequencer.answers import Answer
from exchange.sequencer.intake import Submission, Submitted, submit, submit_bundle
from exchange.sequencer.results import await_results
from ledger.models import Party, SimulatedClock
from tests.crash.sequencers import Process, wait_until
from tests.integration.exchange.commands import about, order
from tests.integration.exchange.market import NOW, Market

CLIENTS = 3
ANSWERED_SECONDS = 30.0


@dataclass
class Load:
    """Clients at work. `acknowledged`, the results that they were told, is complete when they have stopped."""

    _clients: Sequence[Future[dict[int, Answer]]]
    _told: threading.Event
    acknowledged: dict[int, Answer] = field(default_factory=dict)

    def go_on(self, commands: int, running: Sequence[Process]) -> None:
        """Return when so many more commands have been decided; whoever fails meanwhile fails the test."""
        before = IntakeResult.objects.count()

        def reached() -> bool:
            for client in self._clients:
                if client.done():
                    client.result()
            return IntakeResult.objects.count() >= before + commands

        wait_until(reached, "commands to be decided", running)

    def stop(self) -> None:
        """Let the clients end, each with an answer to whatever it has sent."""
        self._told.set()
        for client in self._clients:
            self.acknowledged |= client.result()


@contextmanager
def trading(draw: random.Random) -> Iterator[Load]:
    """A market whose provider and buyers trade, until they are stopped or at the end of the block."""
    market, told = Market(), threading.Event()
    parties = [market.provider, *(market.party(f"buyer-{i}", micros=2_000_000_000) for i in range(CLIENTS - 1))]
    SimulatedClock.objects.create(id=1, now=NOW)
    with ThreadPoolExecutor(CLIENTS) as pool:
        load = Load([pool.submit(_trade, market, random.Random(draw.random()), each, told) for each in parties], told)
        try:
            yield load
        finally:
            told.set()
        load.stop()


def move_clock(by: timedelta) -> None:
    """Time as the processes read it from now on: it may go back."""
    SimulatedClock.objects.update(now=_now() + by)


def _now() -> Any:
    return SimulatedClock.objects.get().now


def _trade(market: Market, draw: random.Random, party: Party, stop: threading.Event) -> dict[int, Answer]:
    """Send singly and in bundles until told to stop; what was acknowledged."""
    acknowledged: dict[int, Answer] = {}
    mine: list[int] = []
    try:
        while not stop.is_set():
            wanted = [_drawn(market, draw, party, mine) for _ in range(draw.choice([1, 1, 2, 20]))]
            if len(wanted) == 1:
                seqs = [submit(wanted[0], now=NOW).seq]
            else:
                seqs = [each.seq for each in submit_bundle(wanted, now=NOW) if isinstance(each, Submitted)]
            answers = await_results(seqs, timeout_s=ANSWERED_SECONDS)
            assert len(answers) == len(wanted), "the sequencers do not answer"
            acknowledged |= answers
            mine += [seq for seq, each in answers.items() if each.get("order_status") == "open" and "lots" in each]
    finally:
        connections.close_all()
    return acknowledged


def _drawn(market: Market, draw: random.Random, party: Party, mine: list[int]) -> Submission:
    """An order, or a command about an earlier one."""
    what, price, lots = draw.random(), draw.randint(396, 404), draw.randint(1, 4)
    if what < 0.1 and mine:
        return about(market, IntakeKind.AMEND_ORDER, party, order_id=draw.choice(mine), price_ticks=price, lots=lots)
    if what < 0.25 and mine:
        return about(market, IntakeKind.CANCEL_ORDER, party, order_id=draw.choice(mine))
    if what < 0.28:
        return about(market, IntakeKind.CANCEL_ALL, party)
    if what < 0.32:
        return about(market, IntakeKind.CANCEL_ALL_AFTER, party, seconds=draw.randint(0, 3))
    more: dict[str, Any] = {"time_in_force": draw.choice(["gtc", "gtc", "gtc", "ioc", "fok"])}
    if what < 0.45:
        expires_at = _now() + timedelta(seconds=draw.randint(1, 4))
        more = {"time_in_force": "gtd", "expires_at": expires_at.isoformat()}
    return order(market, party, "sell" if party == market.provider else "buy", lots, price, **more)
