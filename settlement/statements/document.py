"""Parts of a statement's content that come out of the ledger, and how values are written. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ledger.money import format_micros


@dataclass(frozen=True, slots=True)
class ChainLink:
    """A statement's place in the chain of its party and currency. Sequence 1 has no previous digest."""

    sequence: int
    previous_digest: bytes | None = None


@dataclass(frozen=True, slots=True)
class Movement:
    """All entries of one kind on the cash account between opening and closing."""

    kind: str
    entries: int
    micros: int


@dataclass(frozen=True, slots=True)
class Balances:
    """The cash account from just after entry `opening_seq` to entry `closing_seq`, both account sequence numbers.

    Opening balance and number are the previous statement's closing ones, 0 and 0 for the first.
    """

    opening_micros: int
    opening_seq: int
    movements: tuple[Movement, ...]
    closing_micros: int
    closing_seq: int
    held_micros: int = 0


def format_time(moment: datetime) -> str:
    """A UTC time as ISO 8601 with a Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def balances_value(balances: Balances) -> dict[str, Any]:
    """An account's balances as a JSON value; the movements by kind."""
    return {
        "opening": {"amount": format_micros(balances.opening_micros), "account_seq": balances.opening_seq},
        "movements": [
            {"kind": movement.kind, "entries": movement.entries, "amount": format_micros(movement.micros)}
            for movement in sorted(balances.movements, key=lambda movement: movement.kind)
        ],
        "closing": {"amount": format_micros(balances.closing_micros), "account_seq": balances.closing_seq},
        "held": format_micros(balances.held_micros),
        "available": format_micros(balances.closing_micros - balances.held_micros),
    }
