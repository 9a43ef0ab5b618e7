"""What settled disputes of a position gave already, off what a later run gives for the same line. Pure.

A dispute that was upheld and a correction that comes after it may be about the same tokens. What the correction gives
the party on the disputed line, and altogether no more than it gives it in the position, goes back to the payee, until
all that was decided is credited. Cumulative since the dispute was settled, as everything: what a still later run takes
away again is credited no longer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from settlement.disputes.frozen import FrozenDispute
from settlement.statements.party_line import PartyLine


@dataclass(frozen=True, slots=True)
class SettledDispute:
    """A dispute of a position. `since`: the position's outcome when it was settled, as a frozen position has it."""

    dispute: FrozenDispute
    since: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"dispute": self.dispute.to_json(), "since": dict(self.since)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SettledDispute:
        """The inverse of `to_json`."""
        return cls(FrozenDispute.from_json(value["dispute"]), value["since"])


@dataclass(frozen=True, slots=True)
class Credit:
    """What goes back from the party that disputed to the payee: by this run, and over all runs."""

    dispute: FrozenDispute
    micros: int
    cumulative_micros: int


def credited(changes: Iterable[tuple[FrozenDispute, Iterable[PartyLine]]]) -> list[int]:
    """How much of each dispute is credited. With each come the lines of what the position's figures have changed since
    it was settled; disputes in the order in which they were, so that no change is credited twice."""
    used: Counter[tuple[str, str]] = Counter()
    found = []
    for dispute, lines in changes:
        own = [line for line in lines if line.party == dispute.party]
        line = (dispute.party, dispute.line_kind)
        on_line = sum(_favour(each) for each in own if each.kind == dispute.line_kind) - used[line]
        in_all = sum(each.amount_micros for each in own) - used[dispute.party, ""]
        micros = max(min(dispute.decided_micros, on_line, in_all), 0)
        used[line] += micros
        used[dispute.party, ""] += micros
        found.append(micros)
    return found


def _favour(line: PartyLine) -> int:
    """How much better a line is for its party. What does not pass through its account is at its cost, or income lost:
    tokens that a buyer pays out of escrow, refunds to a provider's buyer."""
    return line.amount_micros or -line.value_micros
