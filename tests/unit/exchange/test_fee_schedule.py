"""Which rates a volume gets: the examples of the order reference, and what a schedule may not be."""

from __future__ import annotations

from typing import Any

import pytest

from exchange.errors import InvalidFeeSchedule
from exchange.fee_schedule import MAX_TIERS, FeeSchedule, Rates, rates
from exchange.matching.types import Side
from ledger.errors import InvalidAmount

BUYER_PPM, PROVIDER_PPM = 2_000, 3_000  # the contract's


def tier(volume: int, *ppm: int) -> dict[str, Any]:
    names = ("buyer_maker_ppm", "buyer_taker_ppm", "provider_maker_ppm", "provider_taker_ppm")
    return {"volume_micros": str(volume), **dict(zip(names, ppm, strict=True))}


# Below 10,000 the contract's own rates; makers half from 10,000; from 100,000 makers nothing, takers three quarters.
OF_CONTRACT = FeeSchedule.from_json(
    "contract",
    [
        tier(0, 1_000_000, 1_000_000, 1_000_000, 1_000_000),
        tier(10_000_000_000, 500_000, 1_000_000, 500_000, 1_000_000),
        tier(100_000_000_000, 0, 750_000, 0, 750_000),
    ],
)
OF_NOTIONAL = FeeSchedule.from_json("notional", [tier(0, 1_500, 2_500, 1_500, 2_500), tier(1, 333, 1_999, 0, 100_000)])


@pytest.mark.parametrize(
    ("volume", "buyer", "provider"),
    [
        (0, (2_000, 2_000), (3_000, 3_000)),
        (9_999_999_999, (2_000, 2_000), (3_000, 3_000)),
        (10_000_000_000, (1_000, 2_000), (1_500, 3_000)),
        (99_999_999_999, (1_000, 2_000), (1_500, 3_000)),
        (100_000_000_000, (0, 1_500), (0, 2_250)),
        (2**62, (0, 1_500), (0, 2_250)),
    ],
)
def test_each_tier_gives_its_part_of_the_contracts_rate(
    volume: int, buyer: tuple[int, int], provider: tuple[int, int]
) -> None:
    assert rates(OF_CONTRACT, Side.BUY, volume, BUYER_PPM) == Rates(*buyer)
    assert rates(OF_CONTRACT, Side.SELL, volume, PROVIDER_PPM) == Rates(*provider)


def test_parts_of_a_rate_are_rounded_down() -> None:
    assert rates(OF_CONTRACT, Side.BUY, 100_000_000_000, 3) == Rates(0, 2)


def test_rates_of_the_notional_stop_at_the_contracts_own() -> None:
    assert rates(OF_NOTIONAL, Side.BUY, 0, BUYER_PPM) == Rates(1_500, 2_000)
    assert rates(OF_NOTIONAL, Side.SELL, 0, PROVIDER_PPM) == Rates(1_500, 2_500)
    assert rates(OF_NOTIONAL, Side.BUY, 1, BUYER_PPM) == Rates(333, 1_999)
    assert rates(OF_NOTIONAL, Side.SELL, 1, PROVIDER_PPM) == Rates(0, 3_000)
    assert rates(OF_NOTIONAL, Side.BUY, 1, 0) == Rates(0, 0)


def test_a_schedule_survives_being_written_down() -> None:
    for schedule in (OF_CONTRACT, OF_NOTIONAL):
        assert FeeSchedule.from_json(**schedule.to_json()) == schedule


@pytest.mark.parametrize(
    ("tiers", "field"),
    [
        ([], "tiers"),
        ([tier(1, 0, 0, 0, 0)], "tiers"),
        ([tier(0, 0, 0, 0, 0), tier(0, 0, 0, 0, 0)], "tiers"),
        ([tier(0, 0, 0, 0, 0), tier(7, 0, 0, 0, 0), tier(6, 0, 0, 0, 0)], "tiers"),
        ([tier(volume, 0, 0, 0, 0) for volume in range(MAX_TIERS + 1)], "tiers"),
        ([tier(0, 1_000_001, 0, 0, 0)], "buyer_maker_ppm"),
        ([tier(0, 0, -1, 0, 0)], "buyer_taker_ppm"),
        ([tier(-1, 0, 0, 0, 0)], "volume_micros"),
    ],
)
def test_impossible_schedules_are_refused(tiers: list[dict[str, Any]], field: str) -> None:
    with pytest.raises((InvalidFeeSchedule, InvalidAmount)) as refused:
        FeeSchedule.from_json("contract", tiers)
    assert refused.value.fields["field"] == field


def test_a_rate_of_the_notional_has_the_limit_of_products() -> None:
    with pytest.raises(InvalidAmount):
        FeeSchedule.from_json("notional", [tier(0, 100_001, 0, 0, 0)])
    with pytest.raises(InvalidFeeSchedule):
        FeeSchedule.from_json("volume", [tier(0, 0, 0, 0, 0)])
