"""Share schedules as they are stored."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.errors import InvalidAmount
from settlement.errors import InvalidSplitSchedule
from settlement.share_record import parse_schedule
from settlement.splits import Recipient

PARTIES = {"lab": 7}


def part(ppm: object, party: object = "") -> dict[str, object]:
    return {"ppm": ppm, "party": party}


def test_who_gets_what() -> None:
    weights = {"power": part(100_000), "compute": part(700_000), "model": part(200_000, "lab")}
    schedule = parse_schedule(3, weights, "acme", PARTIES)
    assert schedule.version == 3
    assert [(share.beneficiary, share.recipient, share.party_id) for share in schedule.shares] == [
        ("compute", Recipient.PROVIDER, None),
        ("model", Recipient.PARTY, 7),
        ("power", Recipient.UNKNOWN, None),
    ]


def test_a_provider_that_names_itself_keeps_its_share() -> None:
    (share,) = parse_schedule(1, {"power": part(1_000_000, "acme")}, "acme", {}).shares
    assert share.recipient is Recipient.PROVIDER


@pytest.mark.parametrize(
    "weights",
    [
        {},
        {"compute": part(999_999)},
        {"compute": part(1_000_000), "friends": part(0)},
        {"compute": part(1_000_000, "nobody")},
        {"compute": part(1_000_000, None)},
        {"compute": {"ppm": 1_000_000}},
        {"compute": 1_000_000},
        {"compute": part(1_100_000), "model": part(-100_000)},
        {"compute": part(0.5)},
    ],
)
def test_what_makes_no_schedule(weights: dict[str, Any]) -> None:
    with pytest.raises((InvalidSplitSchedule, InvalidAmount)):
        parse_schedule(1, weights, "acme", PARTIES)
