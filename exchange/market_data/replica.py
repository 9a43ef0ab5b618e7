"""A book kept up to date from a snapshot and the deltas after it. Pure: for clients, and for tests.

Prices are any integers that order as the prices do: ticks in the tables, micros from the REST interface.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ledger.money import parse_count, parse_micros


class SequenceGap(Exception):
    """A delta is missing between the replica and the one it was given. Fetch what is between, or a new snapshot."""


@dataclass(frozen=True, slots=True)
class Level:
    """All that waits at one price. In a delta, no lots mean that the level is gone."""

    price: int
    lots: int
    orders: int


@dataclass(frozen=True, slots=True)
class Trade:
    """What changed hands, numbered without gaps in its contract."""

    number: int
    price: int
    lots: int


@dataclass(frozen=True, slots=True)
class Delta:
    """The levels that one change of the book moved, as they are after it; what traded in it; and the numbers of
    earlier trades that it took back, which moves no level.
    """

    sequence: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    trades: tuple[Trade, ...] = ()
    busted: tuple[int, ...] = ()


@dataclass(slots=True)
class Replica:
    """Both sides of a book, by price, after the change numbered `sequence`.

    `trades` are those since the first snapshot that stand, by number; whoever follows for long drops old ones from it.
    """

    sequence: int = 0
    bids: dict[int, Level] = field(default_factory=dict)
    asks: dict[int, Level] = field(default_factory=dict)
    trades: dict[int, Trade] = field(default_factory=dict, compare=False)  # how long it was followed is not the book

    def apply(self, delta: Delta) -> bool:
        """Take a delta in; False when it is in already. Raises `SequenceGap`, and then nothing has changed."""
        if delta.sequence <= self.sequence:
            return False
        if delta.sequence != self.sequence + 1:
            raise SequenceGap(f"Change {delta.sequence} does not follow {self.sequence}.")
        for side, moved in ((self.bids, delta.bids), (self.asks, delta.asks)):
            for level in moved:
                if level.lots:
                    side[level.price] = level
                else:
                    side.pop(level.price, None)
        self.trades |= {trade.number: trade for trade in delta.trades}
        for number in delta.busted:
            self.trades.pop(number, None)
        self.sequence = delta.sequence
        return True

    def best_bids(self) -> list[Level]:
        """Bids, the highest price first."""
        return sorted(self.bids.values(), key=lambda level: -level.price)

    def best_asks(self) -> list[Level]:
        """Asks, the lowest price first."""
        return sorted(self.asks.values(), key=lambda level: level.price)


def replica_of(snapshot: Mapping[str, Any]) -> Replica:
    """From the REST interface's answer with a book; it is whole only if fewer levels came than were asked for."""
    bids, asks = _read(snapshot["bids"]), _read(snapshot["asks"])
    return Replica(
        parse_count(snapshot["sequence"], field="sequence"),
        {level.price: level for level in bids},
        {level.price: level for level in asks},
    )


def read_delta(item: Mapping[str, Any]) -> Delta:
    """From an item of the REST interface's list of deltas."""
    trades = tuple(
        Trade(
            parse_count(trade["trade_no"], field="trade_no"),
            parse_micros(trade["price"], field="price"),
            parse_count(trade["lots"], field="lots"),
        )
        for trade in item["trades"]
    )
    busted = tuple(parse_count(number, field="busted") for number in item["busted"])
    sequence = parse_count(item["sequence"], field="sequence")
    return Delta(sequence, _read(item["bids"]), _read(item["asks"]), trades, busted)


def delta_of_rows(sequence: int, content: Mapping[str, Sequence[Any]]) -> Delta:
    """From a stored delta: levels as `[price_ticks, lots, orders]`, trades as `[trade_no, price_ticks, lots, side]`."""
    bids, asks = (tuple(Level(*level) for level in content[side]) for side in ("bids", "asks"))
    trades = tuple(Trade(number, price_ticks, lots) for number, price_ticks, lots, _ in content["trades"])
    return Delta(sequence, bids, asks, trades, tuple(content.get("busted", ())))


def _read(levels: Sequence[Mapping[str, str]]) -> tuple[Level, ...]:
    return tuple(
        Level(
            parse_micros(level["price"], field="price"),
            parse_count(level["lots"], field="lots"),
            parse_count(level["orders"], field="orders"),
        )
        for level in levels
    )
