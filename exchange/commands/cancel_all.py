"""Ask for all orders of a party to be taken out of the books."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from exchange.models import IntakeKind
from exchange.rows import find_contract
from exchange.sequencer.intake import Submission, submit_all, submit_to_shards


@dataclass(frozen=True, slots=True)
class CancelAll:
    """Cancel all open orders of a party: of one contract, or of all when no symbol is given."""

    party_id: int
    symbol: str | None = None


def cancel_all(command: CancelAll, *, actor: str, now: datetime) -> list[int]:
    """Put the cancel into the line, of each shard if need be; the numbers. Raises `UnknownContract`."""
    if command.symbol is None:
        return submit_to_shards(Submission(IntakeKind.CANCEL_ALL, None, actor, {}, command.party_id), now=now)
    contract = find_contract(command.symbol)
    return submit_all([Submission(IntakeKind.CANCEL_ALL, contract.id, actor, {}, command.party_id)], now=now)
