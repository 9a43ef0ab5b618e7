"""A party's dead-man switch: all its orders are cancelled unless it is heard of again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from exchange import trading_rules as rules
from exchange.models import IntakeKind
from exchange.sequencer.intake import Submission, submit_to_shards


@dataclass(frozen=True, slots=True)
class CancelAllAfter:
    """Cancel all orders of a party `seconds` after this is decided; again before then begins anew, and 0 stops it.

    It covers the shards that have contracts in trade by now; renewing it covers those that have some since.
    """

    party_id: int
    seconds: int


def cancel_all_after(command: CancelAllAfter, *, actor: str, now: datetime) -> list[int]:
    """Put the command into the line of each shard; the numbers. Raises `InvalidOrder`."""
    rules.check_switch_seconds(command.seconds)
    switch = Submission(IntakeKind.CANCEL_ALL_AFTER, None, actor, {"seconds": command.seconds}, command.party_id)
    return submit_to_shards(switch, now=now)
