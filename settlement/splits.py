"""Benefit sharing: who gets which part of what a provider earns, by a versioned schedule of integer weights."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct

from ledger.money import split_largest_remainder
from settlement.errors import InvalidSplitSchedule

WHOLE_PPM = 1_000_000


class Recipient(StrEnum):
    """Where a share goes."""

    PROVIDER = "provider"  # stays with the provider of the position
    PARTY = "party"  # the party named by the share
    UNKNOWN = "unknown"  # its owner is not known yet: held, never redistributed


class Share(Struct, frozen=True, gc=False):
    """One part of a schedule. `beneficiary` is its stable id ("compute", "model" …); `party_id` only for PARTY."""

    beneficiary: str
    weight_ppm: int
    recipient: Recipient
    party_id: int | None = None


@dataclass(frozen=True, slots=True)
class ShareSchedule:
    """The shares of a product. Weights are parts per million and make up exactly the whole.

    Raises `InvalidSplitSchedule`.
    """

    version: int
    shares: tuple[Share, ...]

    def __post_init__(self) -> None:
        names = {share.beneficiary for share in self.shares}
        if len(names) != len(self.shares) or "" in names:
            raise InvalidSplitSchedule("Every share needs a beneficiary id of its own.", field="beneficiary")
        total = sum(share.weight_ppm for share in self.shares)
        if total != WHOLE_PPM or any(share.weight_ppm < 0 for share in self.shares):
            raise InvalidSplitSchedule(
                f"The weights must be at least 0 and sum to {WHOLE_PPM} parts per million, not {total}.",
                field="weight_ppm",
                total=str(total),
            )
        for share in self.shares:
            if (share.party_id is not None) != (share.recipient is Recipient.PARTY):
                raise InvalidSplitSchedule(
                    f"Share {share.beneficiary} must name a party exactly if it goes to one.", field="party_id"
                )


ALL_TO_PROVIDER = ShareSchedule(version=0, shares=(Share("compute", WHOLE_PPM, Recipient.PROVIDER),))


class ShareAmount(Struct, frozen=True, gc=False):
    """What a share comes to, in micros."""

    share: Share
    micros: int


def split(net_micros: int, schedule: ShareSchedule) -> tuple[ShareAmount, ...]:
    """The shares of `net_micros` (>= 0) by largest remainder, ties to the lowest beneficiary id; they sum to it."""
    if len(schedule.shares) == 1:
        return (ShareAmount(schedule.shares[0], net_micros),)
    if net_micros == 0:
        return tuple(ShareAmount(share, 0) for share in schedule.shares)
    weights = {share.beneficiary: share.weight_ppm for share in schedule.shares}
    amounts = split_largest_remainder(net_micros, weights)
    return tuple(ShareAmount(share, amounts[share.beneficiary]) for share in schedule.shares)
