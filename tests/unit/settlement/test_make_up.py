from __future__ import annotations

from dataclasses import replace

import pytest

from settlement.calculation import calculate
from settlement.errors import InvalidPosition
from settlement.make_up import MadeUp, MakeUp, credit_tokens, take_credits
from tests.unit.settlement.worked_examples import EXAMPLE_1, TERMS, use

OLD = MakeUp("T11/1H", 1_000, 420_000, 100_000, 400)  # 1.68 per million
NEW = MakeUp("T12/1H", 5_000, 410_000, 100_000, 1_000)  # 4.10: nothing was paid of it


def taken(tokens: int, hold: int = 10**9, fee_ppm: int = 2_000, *credits: MakeUp) -> MadeUp:
    return take_credits(credits or (OLD, NEW), tokens, fee_ppm=fee_ppm, hold_micros=hold)


def test_the_oldest_credit_goes_first_each_at_its_own_price() -> None:
    assert taken(400) == MadeUp(400, 672, 1, (("T11/1H", 400),))
    assert taken(1_500) == MadeUp(1_500, 1_680 + 2_050, 7, (("T11/1H", 1_000), ("T12/1H", 500)))
    assert taken(99_999).tokens == 6_000
    assert taken(0) == MadeUp()
    assert take_credits((), 5, fee_ppm=0, hold_micros=5) == MadeUp()


def test_each_credit_is_rounded_down_once() -> None:
    assert taken(1_001).micros == 1_680 + 4  # 4.1
    assert taken(3, 10, 0, replace(OLD, tokens=1), replace(OLD, source="T12/1H", tokens=2)).micros == 1 + 3


def test_no_more_is_taken_than_the_hold_covers_with_the_fee() -> None:
    exact = taken(99_999, 1_680 + 20_500 + 44)
    assert (exact.tokens, exact.micros, exact.fee_micros) == (6_000, 22_180, 44)
    assert taken(99_999, 1_680 + 20_500 + 43).tokens == 5_999
    assert taken(99_999, 0).micros == 0
    assert taken(99_999, 0).tokens == 0  # the first token costs a micro


def test_what_was_paid_in_full_costs_nothing_more_and_needs_no_hold() -> None:
    assert taken(700, 0, 2_000, replace(OLD, charge_permille=0)) == MadeUp(700, 0, 0, (("T11/1H", 700),))


def test_a_credit_is_part_of_what_stayed_unused() -> None:
    assert [credit_tokens(999, permille) for permille in (0, 1, 500, 1_000)] == [0, 0, 499, 999]


def test_made_up_use_comes_before_overage_and_shares_its_hold() -> None:
    above = replace(
        EXAMPLE_1, minutes=(use(110_000),), overage_cap_tokens=3_000, overage_hold_micros=1_683 + 4_208, make_up=(OLD,)
    )
    outcome = calculate(TERMS, above)
    assert (outcome.made_up_tokens, outcome.overage_tokens, outcome.excess_tokens) == (1_000, 1_000, 8_000)
    assert outcome.held_charge_micros == 1_683 + 4_208
    assert calculate(TERMS, replace(above, overage_cap_tokens=0)).made_up_tokens == 1_000


def test_late_use_after_an_ending_makes_nothing_up() -> None:
    ended = replace(EXAMPLE_1, minutes=(use(110_000, minute=5),), make_up=(OLD,), ended_at=use(0, minute=3).minute)
    outcome = calculate(TERMS, replace(ended, overage_hold_micros=10**6))
    assert (outcome.made_up_tokens, outcome.excess_tokens) == (0, 110_000)


@pytest.mark.parametrize(
    "figures", [(-1, 420_000, 100_000, 400), (1, -1, 100_000, 400), (1, 420_000, 0, 400), (1, 420_000, 100_000, 1_001)]
)
def test_impossible_credits_are_refused(figures: tuple[int, int, int, int]) -> None:
    with pytest.raises(InvalidPosition):
        MakeUp("T11/1H", *figures)


def test_a_source_gives_one_credit() -> None:
    with pytest.raises(InvalidPosition):
        replace(EXAMPLE_1, make_up=(OLD, OLD))
