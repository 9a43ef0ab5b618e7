"""Share schedules as they are stored: `{"compute": {"ppm": 700000, "party": "acme"}, …}`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.money import parse_count
from settlement.errors import InvalidSplitSchedule
from settlement.splits import WHOLE_PPM, Recipient, Share, ShareSchedule

ROLES = ("compute", "dataset", "model", "platform", "power")


def parse_schedule(
    version: int, weights: Mapping[str, Any], provider_code: str, party_ids: Mapping[str, int]
) -> ShareSchedule:
    """A stored schedule as a value; `party_ids` knows the parties it names. Raises `InvalidSplitSchedule`.

    The compute share is the provider's own unless it names another party; any other share without one is held until its
    owner is known.
    """
    if not set(weights) <= set(ROLES):
        raise InvalidSplitSchedule(f"Shares are {', '.join(ROLES)}.", field="weights")
    shares = (_share(role, weights[role], provider_code, party_ids) for role in ROLES if role in weights)
    return ShareSchedule(version, tuple(shares))


def _share(role: str, part: Any, provider_code: str, party_ids: Mapping[str, int]) -> Share:
    if not isinstance(part, Mapping) or set(part) != {"ppm", "party"} or not isinstance(part["party"], str):
        raise InvalidSplitSchedule(f"The share {role} has a ppm and a party, which may be empty.", field=role)
    ppm = parse_count(part["ppm"], field=f"{role}.ppm", maximum=WHOLE_PPM)
    party = part["party"]
    if party == provider_code or (role == "compute" and not party):
        return Share(role, ppm, Recipient.PROVIDER)
    if not party:
        return Share(role, ppm, Recipient.UNKNOWN)
    if party not in party_ids:
        raise InvalidSplitSchedule(f"There is no party {party!r}.", field=role, party=party)
    return Share(role, ppm, Recipient.PARTY, party_ids[party])
