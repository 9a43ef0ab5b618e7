"""Capacity of sites and its allocation to windows."""

from __future__ import annotations

import pytest

from exchange.capacity import (
    MAX_TOKENS_PER_S,
    Allocation,
    check_tokens_per_s,
    sustained_tokens_per_s,
    validate_allocations,
    window_capacity,
)
from exchange.errors import AllocationExceeded, InvalidCapacity
from exchange.windows import DAY
from ledger.money import MAX_AMOUNT


def test_power_becomes_tokens_rounded_down() -> None:
    """10 MW at 2.5 contract tokens a joule and 80 % utilisation."""
    assert sustained_tokens_per_s(watts=10_000_000, mtokens_per_joule=2_500, utilisation_ppm=800_000) == 20_000_000
    assert sustained_tokens_per_s(watts=1_999, mtokens_per_joule=1, utilisation_ppm=1_000_000) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"watts": 0}, "watts"),
        ({"watts": -5}, "watts"),
        ({"mtokens_per_joule": 0}, "mtokens_per_joule"),
        ({"utilisation_ppm": 0}, "utilisation_ppm"),
        ({"utilisation_ppm": 1_000_001}, "utilisation_ppm"),
        ({"watts": 1, "mtokens_per_joule": 1}, "tokens_per_s"),  # less than a token a second
        ({"watts": 10**10, "mtokens_per_joule": 10**8}, "tokens_per_s"),
    ],
)
def test_a_senseless_declaration_is_refused_by_name(changes: dict[str, int], field: str) -> None:
    figures = {"watts": 1_000_000, "mtokens_per_joule": 1_000, "utilisation_ppm": 900_000} | changes
    with pytest.raises(InvalidCapacity) as caught:
        sustained_tokens_per_s(**figures)
    assert caught.value.fields["field"] == field


def test_allocations_of_overlapping_windows_share_the_site() -> None:
    exact = [Allocation(1, 3_600, 500_000), Allocation(1, DAY, 300_000), Allocation(2, 600, 200_000)]
    validate_allocations(exact)
    validate_allocations([])
    with pytest.raises(AllocationExceeded) as caught:
        validate_allocations([*exact, Allocation(2, 3_600, 1)])
    assert caught.value.fields == {"total_ppm": 1_000_001, "limit_ppm": 1_000_000}


@pytest.mark.parametrize(
    ("allocation", "field"),
    [
        (Allocation(1, 3_600, 0), "ppm"),
        (Allocation(1, 3_600, -1), "ppm"),
        (Allocation(1, 3_600, 1_000_001), "ppm"),
        (Allocation(1, 7 * 3_600, 1), "window_seconds"),
        (Allocation(9, 600, 1), "allocations"),
    ],
)
def test_a_malformed_allocation_is_refused_by_name(allocation: Allocation, field: str) -> None:
    with pytest.raises(InvalidCapacity) as caught:
        validate_allocations([Allocation(9, 600, 5), allocation])
    assert caught.value.fields["field"] == field


def test_a_window_gets_its_share_rounded_down() -> None:
    assert window_capacity(1_000, 250_000, 3_600) == 900_000
    assert window_capacity(1, 1_666, 600) == 0
    assert window_capacity(check_tokens_per_s(MAX_TOKENS_PER_S), 1_000_000, DAY) <= MAX_AMOUNT


def test_shares_never_come_to_more_than_the_site() -> None:
    thirds = [333_333, 333_333, 333_334]
    assert sum(window_capacity(7, ppm, 60) for ppm in thirds) <= 7 * 60
