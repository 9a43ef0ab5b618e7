"""The line of commands that the exchange's benchmarks decide: 30 % cancels, half of the limits crossing the spread.

It matches as it goes, so that a cancel names an order that is open when its turn comes and a crossing limit meets one.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import psycopg
from django.db import connection

from exchange.matching import engine
from exchange.matching.book import Book
from exchange.matching.types import (
    ContractId,
    GroupId,
    Lots,
    Order,
    OrderId,
    PartyId,
    PriceTicks,
    Side,
    TimeInForce,
)
from exchange.models import IntakeKind
from tests.bench.exchange.world import ACTOR, MID_TICKS, World
from tests.bench.parts import BenchFailed

CANCELS = 0.3
CROSSING = 0.5  # of the limits
DEEPEST_TICKS = 20  # from the middle
PASSIVE_LOTS, CROSSING_LOTS = 20, 8  # at most; so that books neither run dry nor grow without end


@dataclass(frozen=True, slots=True)
class Drawn:
    """A command. `number` counts from 1; an order's number stands for its id, and `target` is what a cancel names."""

    number: int
    contract_id: int
    party_id: int
    order: dict[str, Any] | None = None
    target: int = 0

    @property
    def kind(self) -> IntakeKind:
        return IntakeKind.CANCEL_ORDER if self.order is None else IntakeKind.PLACE_ORDER

    def payload(self, target_id: int) -> dict[str, Any]:
        return {"order_id": target_id} if self.order is None else self.order


@dataclass(slots=True)
class Flow:
    """Random commands of a world, always the same ones for a seed."""

    world: World
    chance: random.Random
    drawn: int = 0
    books: dict[int, Book] = field(init=False)
    _resting: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.books = {id: Book(ContractId(id)) for id in self.world.contracts}

    def opening(self, each_side: int) -> Iterator[Drawn]:
        """So many orders on each side of each book, none of them trading."""
        for contract_id in self.world.contracts:
            for side in Side:
                for _ in range(each_side):
                    yield self._place(contract_id, side, self._passive_price(side), PASSIVE_LOTS)

    def commands(self) -> Iterator[Drawn]:
        """Without end."""
        chance = self.chance
        while True:
            if chance.random() < CANCELS and (cancel := self._cancel()) is not None:
                yield cancel
                continue
            contract_id, side = chance.choice(self.world.contracts), chance.choice((Side.BUY, Side.SELL))
            best = self.books[contract_id].best_price(side.opposite)
            if best is not None and chance.random() < CROSSING:
                yield self._place(contract_id, side, best, CROSSING_LOTS)
            else:
                yield self._place(contract_id, side, self._passive_price(side), PASSIVE_LOTS)

    def _passive_price(self, side: Side) -> int:
        away = self.chance.randint(1, DEEPEST_TICKS)
        return MID_TICKS - away if side is Side.BUY else MID_TICKS + away

    def _place(self, contract_id: int, side: Side, price_ticks: int, most_lots: int) -> Drawn:
        self.drawn += 1
        party_id = self.chance.choice(self.world.buyers if side is Side.BUY else self.world.providers)
        lots, book = self.chance.randint(1, most_lots), self.books[contract_id]
        order = Order(
            order_id=OrderId(self.drawn),
            contract_id=ContractId(contract_id),
            party_id=PartyId(party_id),
            side=side,
            price_ticks=PriceTicks(price_ticks),
            lots=Lots(lots),
            group_id=GroupId(party_id),
        )
        engine.place(book, order)
        if order.order_id in book:
            self._resting.append((contract_id, self.drawn))
        wanted = {
            "side": side.value,
            "price_ticks": price_ticks,
            "lots": lots,
            "time_in_force": TimeInForce.GTC.value,
            "overage_permille": 0,
        }
        return Drawn(self.drawn, contract_id, party_id, wanted)

    def _cancel(self) -> Drawn | None:
        """Of a random order among those that are open; None when none is."""
        while self._resting:
            place = self.chance.randrange(len(self._resting))
            self._resting[place], self._resting[-1] = self._resting[-1], self._resting[place]
            contract_id, number = self._resting.pop()
            resting = self.books[contract_id].resting.get(OrderId(number))
            if resting is not None:
                engine.cancel(self.books[contract_id], OrderId(number))
                self.drawn += 1
                return Drawn(self.drawn, contract_id, resting.order.party_id, target=number)
        return None


def fill_line(commands: Iterator[Drawn], count: int) -> int:
    """Put the next commands into the line as it would have been filled long ago; gives how many there were.

    Nobody else writes to the line, so a command's number is its place in it.
    """
    connection.ensure_connection()
    raw: psycopg.Connection[Any] = connection.connection
    last = 0
    with raw.cursor() as cursor:
        with cursor.copy(
            "COPY exchange_intake (shard, bundle_left, kind, contract_id, party_id, actor, payload, received_at)"
            " FROM STDIN"
        ) as copy:
            for drawn in islice(commands, count):
                last, payload = drawn.number, json.dumps(drawn.payload(drawn.target))
                copy.write_row(
                    (1, 0, drawn.kind.value, drawn.contract_id, drawn.party_id, ACTOR, payload, "2026-01-01T00:00Z")
                )
        newest = cursor.execute("SELECT max(seq) FROM exchange_intake").fetchone()
    if last and newest != (last,):
        raise BenchFailed(f"the line ends at {newest} instead of {last}")
    return last
