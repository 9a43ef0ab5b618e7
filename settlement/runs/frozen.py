"""What a run settles a contract from, as one value: read once, kept under a digest, calculated from alone. Pure.

Parties are named by their codes, so that the value is the same on any database. Of the usage it holds a count and a
digest for each pair; the events themselves are those of the calls up to `usage_through`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from exchange.terms import ProductTerms
from settlement.calculation import PERMILLE, PPM
from settlement.runs.frozen_position import (
    FrozenPosition,
    FrozenSchedule,
    FrozenShare,
    FrozenUnmatched,
    FrozenUsage,
    position_json,
    read_position,
    read_unmatched,
    time_json,
    unmatched_json,
)

__all__ = [
    "NO_LIMIT",
    "SUSPENDING",
    "FrozenContract",
    "FrozenPosition",
    "FrozenSchedule",
    "FrozenShare",
    "FrozenUnmatched",
    "FrozenUsage",
    "Span",
    "frozen_bytes",
    "frozen_digest",
    "local",
    "portable",
    "read_frozen",
]

NO_LIMIT = 2**63 - 1  # the last call of runs of earlier releases, which name none
SUSPENDING = frozenset({"indicative", "initial"})  # kinds of runs that hold back what open cases dispute

Span = tuple[datetime, datetime]  # from, until


@dataclass(frozen=True, slots=True)
class FrozenContract:
    """A contract with all that is read of it; positions and unmatched pairs by the codes of buyer and provider.

    `watermarks` and `disputes` (of a disputed-final run; see `settlement.disputes.frozen`) are ready for JSON. With a
    dispute every position keeps the figures that it had. `force_majeure`: confirmed spans by the provider's code.
    `suspends`: amounts of discrepancies that nobody ruled on are held back, as in initial runs.
    """

    symbol: str
    currency: str
    product: str
    house: str
    delivery_start: datetime
    delivery_end: datetime
    gate_close: datetime
    terms: ProductTerms
    terms_hash: str
    obligations_hash: str
    reference_price_micros: int
    reference_step: str
    watermarks: tuple[Mapping[str, str], ...]
    force_majeure: Mapping[str, tuple[Span, ...]]
    positions: tuple[FrozenPosition, ...]
    unmatched: tuple[FrozenUnmatched, ...]
    disputes: tuple[Mapping[str, Any], ...]
    usage_through: int
    suspends: bool
    rules_version: str
    code_version: str

    @property
    def tax_rate_ppm(self) -> int:
        return self.terms.tax_rate_permille * (PPM // PERMILLE)

    def to_json(self) -> dict[str, Any]:
        """The value as JSON: integers that may be large as strings, times in UTC."""
        told: dict[int, Any] = {}
        return {
            "symbol": self.symbol,
            "currency": self.currency,
            "product": self.product,
            "house": self.house,
            "delivery_start": time_json(self.delivery_start),
            "delivery_end": time_json(self.delivery_end),
            "gate_close": time_json(self.gate_close),
            "terms": self.terms.to_json(),
            "terms_hash": self.terms_hash,
            "obligations_hash": self.obligations_hash,
            "reference_price_micros": str(self.reference_price_micros),
            "reference_step": self.reference_step,
            "watermarks": list(self.watermarks),
            "force_majeure": {
                code: [[time_json(start), time_json(end)] for start, end in spans]
                for code, spans in self.force_majeure.items()
            },
            "positions": [position_json(position, told) for position in self.positions],
            "unmatched": [unmatched_json(pair) for pair in self.unmatched],
            "disputes": list(self.disputes),
            "usage_through": str(self.usage_through),
            "suspends": self.suspends,
            "rules_version": self.rules_version,
            "code_version": self.code_version,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> FrozenContract:
        """The inverse of `to_json`."""
        return cls(
            symbol=value["symbol"],
            currency=value["currency"],
            product=value["product"],
            house=value["house"],
            delivery_start=datetime.fromisoformat(value["delivery_start"]),
            delivery_end=datetime.fromisoformat(value["delivery_end"]),
            gate_close=datetime.fromisoformat(value["gate_close"]),
            terms=ProductTerms.from_json(value["terms"]),
            terms_hash=value["terms_hash"],
            obligations_hash=value["obligations_hash"],
            reference_price_micros=int(value["reference_price_micros"]),
            reference_step=value["reference_step"],
            watermarks=tuple(value["watermarks"]),
            force_majeure={
                code: tuple((datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in spans)
                for code, spans in value["force_majeure"].items()
            },
            positions=tuple(read_position(position) for position in value["positions"]),
            unmatched=tuple(read_unmatched(pair) for pair in value["unmatched"]),
            disputes=tuple(value["disputes"]),
            usage_through=int(value["usage_through"]),
            suspends=value["suspends"],
            rules_version=value["rules_version"],
            code_version=value["code_version"],
        )


def frozen_bytes(contract: FrozenContract) -> bytes:
    """The canonical JSON of a frozen contract: what `FrozenInput` keeps, and its digest is over."""
    return msgspec.json.encode(contract.to_json(), order="sorted")


def frozen_digest(content: bytes) -> bytes:
    """SHA-256 of `frozen_bytes`."""
    return hashlib.sha256(content).digest()


def read_frozen(content: bytes) -> FrozenContract:
    """The inverse of `frozen_bytes`."""
    return FrozenContract.from_json(msgspec.json.decode(content))


def portable(record: Mapping[str, Any], codes: Mapping[int, str]) -> dict[str, Any]:
    """An outcome's record with the codes of the parties that have shares in the place of their numbers."""
    return _with_parties(record, lambda share: {"party": codes.get(share.pop("party_id"), "")})


def local(record: Mapping[str, Any], ids: Mapping[str, int]) -> dict[str, Any]:
    """The inverse of `portable`."""
    return _with_parties(record, lambda share: {"party_id": ids.get(share.pop("party"))})


def _with_parties(record: Mapping[str, Any], named: Any) -> dict[str, Any]:
    changed = dict(record)
    for name, payout in record.items():
        if isinstance(payout, Mapping):
            shares = [dict(share) for share in payout["shares"]]
            changed[name] = {**payout, "shares": [named(share) | share for share in shares]}
    return changed
