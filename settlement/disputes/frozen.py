"""A decided dispute as its disputed-final run freezes it, and the lines that statements tell of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ledger.chart import Role
from settlement.disputes.postings import DISPUTE, RELEASE, reference_of


@dataclass(frozen=True, slots=True)
class FrozenDispute:
    """Parties by code. `payee_role`: on which account the payee has the money. `decided_micros` go from the payee to
    the party that disputed; `suspended_micros` come back to the payee."""

    number: int
    buyer: str
    provider: str
    party: str
    payee: str
    payee_role: str
    line_kind: str
    decided_micros: int
    suspended_micros: int

    def to_json(self) -> dict[str, Any]:
        """Amounts as integer strings."""
        amounts = {"decided_micros": str(self.decided_micros), "suspended_micros": str(self.suspended_micros)}
        return asdict(self) | amounts

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> FrozenDispute:
        """The inverse of `to_json`."""
        amounts = {name: int(value[name]) for name in ("decided_micros", "suspended_micros")}
        return cls(**{**value, **amounts})


@dataclass(frozen=True, slots=True)
class DisputeLine:
    """What a dispute changed on a party's account: exactly its amount. `ref` names the legs under `reference`."""

    party: str
    counterparty: str
    kind: str
    amount_micros: int
    reference: str
    ref: str


def dispute_lines(dispute: FrozenDispute) -> tuple[DisputeLine, ...]:
    """The lines of both sides. What the house holds for owners that nobody knows stands on no statement."""
    reference = reference_of(dispute.number, "settle")
    moves = [(dispute.party, dispute.payee, DISPUTE, dispute.decided_micros)]
    if dispute.payee_role != Role.HELD_SHARE:
        moves.append((dispute.payee, dispute.party, DISPUTE, -dispute.decided_micros))
        moves.append((dispute.payee, dispute.party, RELEASE, dispute.suspended_micros))
    return tuple(
        DisputeLine(party, counterparty, kind, micros, reference, kind)
        for party, counterparty, kind, micros in moves
        if micros
    )
