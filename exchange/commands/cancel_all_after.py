"""A party's dead-man switch: all its orders are cancelled unless it is heard of again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from exchange import trading_rules as rules
from exchange.sequencer.switches import submit_switch


@dataclass(frozen=True, slots=True)
class CancelAllAfter:
    """Cancel all orders of a party `seconds` after this is decided; again before then begins anew, and 0 stops it.

    It covers every contract, also those that come into trade later.
    """

    party_id: int
    seconds: int


def cancel_all_after(command: CancelAllAfter, *, actor: str, now: datetime) -> list[int]:
    """Put the command into the line of each shard; the numbers. Raises `InvalidOrder`."""
    rules.check_switch_seconds(command.seconds)
    return submit_switch(command.party_id, command.seconds, actor=actor, now=now)
