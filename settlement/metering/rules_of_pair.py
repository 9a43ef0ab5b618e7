"""What a pair's usage is reconciled by, besides the records themselves. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from settlement.metering.records import CaseKind, Decided, Ruling, Side
from settlement.metering.tolerance import Tolerance
from settlement.rules import TOLERANCE, ZERO


@dataclass(frozen=True, slots=True)
class PairRules:
    """The tolerance of a pair, whose meters proved that they sent everything, and what was ruled."""

    tolerance_zero: bool = False
    complete: frozenset[Side] = frozenset()
    rulings: Mapping[CaseKind, Decided] = field(default_factory=dict)

    @property
    def tolerance(self) -> Tolerance:
        return ZERO if self.tolerance_zero else TOLERANCE

    def as_dict(self) -> dict[str, Any]:
        """For digests: the same in any database."""
        return {
            "tolerance_zero": self.tolerance_zero,
            "complete": sorted(side.value for side in self.complete),
            "rulings": {
                kind.value: {"ruling": decided.ruling.value, "at": decided.at.astimezone(UTC).isoformat()}
                for kind, decided in self.rulings.items()
            },
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> PairRules:
        """The inverse of `as_dict`."""
        return cls(
            value["tolerance_zero"],
            frozenset(Side(side) for side in value["complete"]),
            {
                CaseKind(kind): Decided(Ruling(each["ruling"]), datetime.fromisoformat(each["at"]))
                for kind, each in value["rulings"].items()
            },
        )
