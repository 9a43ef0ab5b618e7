"""What intake adds to an order, and what a repeat is compared by."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.clearing.amounts import budget_hold, fee
from exchange.clearing.terms import MAX_FEE_PPM
from exchange.order_stamps import asked_difference, budget_ticks
from exchange.trading_rules import MAX_BUDGET_MICROS
from tests.unit.exchange.terms import TERMS

PAYLOAD: dict[str, Any] = {
    "side": "buy",
    "order_type": "limit",
    "price_ticks": 400,
    "lots": 3,
    "time_in_force": "gtc",
    "post_only": "no",
    "self_trade": "cancel_newest",
    "group_id": 7,
    "budget": None,
    "budget_micros": None,
    "expires_at": None,
    "overage_permille": 0,
    "maker_fee_ppm": 2_000,
    "taker_fee_ppm": 2_000,
}


@given(st.integers(1, MAX_BUDGET_MICROS), st.integers(0, MAX_FEE_PPM))
def test_a_budget_buys_all_it_can_with_its_fee_and_no_tick_more(budget: int, fee_ppm: int) -> None:
    ticks = budget_ticks(TERMS, budget, fee_ppm)
    assert budget_hold(TERMS, ticks, fee_ppm) <= budget
    more = (ticks + 1) * TERMS.lot_tick_micros
    assert more + fee(more, fee_ppm) + 1 > budget


@pytest.mark.parametrize("member", ["group_id", "maker_fee_ppm", "taker_fee_ppm"])
def test_what_was_stamped_makes_no_difference(member: str) -> None:
    assert asked_difference(PAYLOAD, PAYLOAD | {member: 1}) is None


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("side", "sell"),
        ("order_type", "market"),
        ("price_ticks", 401),
        ("lots", 4),
        ("time_in_force", "ioc"),
        ("post_only", "reject"),
        ("self_trade", "decrement"),
        ("budget_micros", 5),
        ("expires_at", "2026-12-01T12:00:00+00:00"),
        ("overage_permille", 1),
    ],
)
def test_whatever_was_asked_does(member: str, value: object) -> None:
    assert asked_difference(PAYLOAD, PAYLOAD | {member: value}) == member
    assert asked_difference(PAYLOAD | {member: value}, PAYLOAD) == member


def test_what_a_budget_comes_to_is_no_difference_since_fees_may_have_changed() -> None:
    budget = PAYLOAD | {"order_type": "market", "budget_micros": 5_000_000, "budget": 4_990, "lots": 4_990}
    assert asked_difference(budget, budget | {"budget": 4_995, "lots": 4_995, "taker_fee_ppm": 1_000}) is None
    assert asked_difference(budget, budget | {"budget_micros": 5_000_001}) == "budget_micros"


def test_an_order_of_before_there_was_a_choice_is_still_found() -> None:
    old = {name: PAYLOAD[name] for name in ("side", "price_ticks", "lots", "time_in_force", "overage_permille")}
    assert asked_difference(old, PAYLOAD) is None
    assert asked_difference(old, PAYLOAD | {"post_only": "reprice"}) == "post_only"
