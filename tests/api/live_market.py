"""A small market with a running sequencer, for callers of the REST interface."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from config.clock import SimulatedClock
from exchange.models import Fill, Intake, IntakeKind, Order
from exchange.sequencer.loop import Sequencer
from exchange.sequencer.results import await_results
from ledger.models import ApiKey, Entry, Party, PartyKind
from ledger.parties.keys import PARTY_SCOPES, Scope, issue_key
from tests.api.client import Api
from tests.integration.exchange.market import ACTOR, NOW, SYMBOL, Market


class MarketClock:
    """The simulated clock's row, as the web process and the sequencer read it; the test moves it on."""

    def now(self) -> datetime:
        return SimulatedClock().now()

    @property
    def at(self) -> datetime:
        return self.now()

    @at.setter
    def at(self, now: datetime) -> None:
        SimulatedClock().set(now)


@dataclass(slots=True)
class LiveMarket(Market):
    """Whoever puts a command into the line waits for the running sequencer."""

    clock: Any = field(default_factory=MarketClock)

    def results(self, seqs: list[int]) -> list[dict[str, Any]]:
        found = await_results(seqs, 10)
        return [found[seq] for seq in seqs]

    def buyer(self, code: str, micros: int = 100_000_000) -> Api:
        """A new buyer with money."""
        return api_of(self.party(code, micros=micros))


def api_of(party: Party, *scopes: Scope) -> Api:
    """A caller with a key of the party; unless told otherwise it reads and, when it can, trades."""
    wanted = scopes or PARTY_SCOPES[PartyKind(party.kind)] & {Scope.READ, Scope.TRADE}
    return Api(issue_key(party, "tests", wanted, actor=ACTOR, now=NOW).text)


def api_of_old(party: Party, *scopes: Scope) -> Api:
    """A caller whose key was issued before scopes went by the kind of party, or written past the product."""
    issued = issue_key(party, "old", [Scope.READ], actor=ACTOR, now=NOW)
    ApiKey.objects.filter(pk=issued.key.pk).update(scopes=list(scopes))
    return Api(issued.text)


def order(client_order_id: str = "o-1", **changes: Any) -> dict[str, Any]:
    """The body of a good order; `changes` of None leave a member out."""
    body = {
        "contract": SYMBOL,
        "side": "buy",
        "price": "4.200000",
        "lots": "3",
        "time_in_force": "gtc",
        "client_order_id": client_order_id,
    } | changes
    return {name: value for name, value in body.items() if value is not None}


def state() -> tuple[int, int, int, int]:
    """What a refused request must leave as it was."""
    orders = Intake.objects.filter(kind=IntakeKind.PLACE_ORDER).count()
    return orders, Order.objects.count(), Fill.objects.count(), Entry.objects.count()


@contextmanager
def running_sequencer() -> Iterator[None]:
    """The sequencer in a thread with a connection of its own."""
    stop = threading.Event()
    thread = threading.Thread(target=Sequencer(MarketClock()).run, args=(stop,), name="sequencer")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)
