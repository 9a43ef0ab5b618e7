"""Maker and taker rates by how much a party has traded. Pure; how a schedule comes into force is in `exchange.fees`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

from exchange.clearing.terms import MAX_FEE_PPM, PPM
from exchange.errors import InvalidFeeSchedule
from exchange.matching.types import Side
from ledger.money import parse_count

MAX_TIERS = 20


class Basis(StrEnum):
    """What the rates of a schedule are parts per million of."""

    CONTRACT = "contract"  # of the contract's own rate for that side
    NOTIONAL = "notional"


@dataclass(frozen=True, slots=True)
class Rates:
    """What an order's fills are charged when it waited in the book, and when it came to a waiting one."""

    maker_ppm: int
    taker_ppm: int


@dataclass(frozen=True, slots=True)
class Tier:
    """The rates of both sides for parties that traded at least `volume_micros` in the trailing 30 days."""

    volume_micros: int
    buyer: Rates
    provider: Rates

    def of(self, side: Side) -> Rates:
        return self.buyer if side is Side.BUY else self.provider


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """Tiers from volume 0 up. Raises `InvalidFeeSchedule`.

    A rate in parts per million of the notional may be above a contract's own; orders then carry the contract's.
    """

    basis: Basis
    tiers: tuple[Tier, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.tiers) <= MAX_TIERS:
            raise InvalidFeeSchedule(f"A schedule has from 1 to {MAX_TIERS} tiers.", field="tiers")
        if self.tiers[0].volume_micros != 0:
            raise InvalidFeeSchedule("The first tier starts at a volume of 0.", field="tiers")
        if any(higher.volume_micros <= lower.volume_micros for lower, higher in pairwise(self.tiers)):
            raise InvalidFeeSchedule("Each tier starts at a higher volume than the one before.", field="tiers")

    def tier_at(self, volume_micros: int) -> int:
        """The place of the tier that a volume has reached, from 0."""
        return sum(1 for tier in self.tiers if tier.volume_micros <= volume_micros) - 1

    def to_json(self) -> dict[str, Any]:
        return {
            "basis": self.basis.value,
            "tiers": [
                {
                    "volume_micros": str(tier.volume_micros),
                    "buyer_maker_ppm": tier.buyer.maker_ppm,
                    "buyer_taker_ppm": tier.buyer.taker_ppm,
                    "provider_maker_ppm": tier.provider.maker_ppm,
                    "provider_taker_ppm": tier.provider.taker_ppm,
                }
                for tier in self.tiers
            ],
        }

    @classmethod
    def from_json(cls, basis: str, tiers: Sequence[Mapping[str, Any]]) -> FeeSchedule:
        """A schedule as it is stored or was typed. Raises `InvalidFeeSchedule` and `InvalidAmount`."""
        if basis not in list(Basis):
            raise InvalidFeeSchedule(f"The rates are parts of {' or '.join(Basis)}.", field="basis")
        highest = PPM if basis == Basis.CONTRACT else MAX_FEE_PPM

        def rate(tier: Mapping[str, Any], name: str) -> int:
            return parse_count(tier[name], field=name, maximum=highest)

        return cls(
            Basis(basis),
            tuple(
                Tier(
                    volume_micros=parse_count(tier["volume_micros"], field="volume_micros"),
                    buyer=Rates(rate(tier, "buyer_maker_ppm"), rate(tier, "buyer_taker_ppm")),
                    provider=Rates(rate(tier, "provider_maker_ppm"), rate(tier, "provider_taker_ppm")),
                )
                for tier in tiers
            ),
        )


def rates(schedule: FeeSchedule, side: Side, volume_micros: int, contract_ppm: int) -> Rates:
    """What the next order of a party that traded so much is stamped with.

    Never above `contract_ppm`, the rate that the contract pinned for this side: what orders hold is reckoned with that.
    """
    tier = schedule.tiers[schedule.tier_at(volume_micros)].of(side)

    def capped(ppm: int) -> int:
        return contract_ppm * ppm // PPM if schedule.basis is Basis.CONTRACT else min(ppm, contract_ppm)

    return Rates(capped(tier.maker_ppm), capped(tier.taker_ppm))
