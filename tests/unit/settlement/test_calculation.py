from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from settlement.calculation import (
    MinuteUse,
    average_price_micros,
    calculate,
    counted_refusals_millitokens,
    difference,
    minute_rate_tokens,
)
from settlement.errors import InvalidPosition
from settlement.outcome_record import outcome_from_record, outcome_record
from tests.unit.settlement.worked_examples import EXAMPLE_1, EXAMPLE_2, TERMS, WINDOW_START, use


def test_first_worked_example() -> None:
    outcome = calculate(TERMS, EXAMPLE_1)

    assert (outcome.delivered_tokens, outcome.short_tokens, outcome.unused_tokens) == (80_000, 5_000, 15_000)
    assert (outcome.overage_tokens, outcome.excess_tokens) == (0, 0)
    assert outcome.delivered_micros == 336_000
    assert outcome.take_or_pay_micros == 37_800
    assert outcome.refund_unused_micros == 25_200
    assert outcome.refund_short_micros == 21_000
    assert outcome.damages_micros == 10_500
    assert outcome.pay.gross_micros == 373_800
    assert outcome.pay.fee_micros == 1_121
    assert outcome.pay.net_micros == 372_679
    assert [share.micros for share in outcome.pay.shares] == [260_875, 74_536, 37_268]
    assert EXAMPLE_1.notional_micros * TERMS.buyer_fee_ppm // 1_000_000 == 840


def test_second_worked_example() -> None:
    outcome = calculate(TERMS, EXAMPLE_2)

    assert EXAMPLE_2.notional_micros == 212_300
    assert average_price_micros(212_300, 50_000) == 4_246_000
    assert EXAMPLE_2.notional_micros * TERMS.buyer_fee_ppm // 1_000_000 == 424
    assert (outcome.delivered_tokens, outcome.short_tokens, outcome.unused_tokens) == (33_333, 1_111, 15_556)
    assert outcome.delivered_micros == 141_531
    assert outcome.take_or_pay_micros == 39_631
    assert outcome.refund_short_micros == 4_717
    assert outcome.refund_unused_micros == 26_421
    assert outcome.damages_micros == 3_196
    assert outcome.pay.fee_micros == 543
    assert outcome.pay.net_micros == 180_619
    assert [share.micros for share in outcome.pay.shares] == [126_433, 36_124, 18_062]


def test_the_providers_fee_follows_each_fills_own_rate() -> None:
    """Example 2 with the dearer fill at the rate of a better tier: 84,200 at 30 bp and 128,100 at 10 bp."""
    mixed = replace(EXAMPLE_2, provider_fee_picos=84_200 * 3_000 + 128_100 * 1_000)
    outcome = calculate(TERMS, mixed)
    assert outcome.paid_micros == 181_162
    assert outcome.pay.fee_micros == 324  # 181,162 x 380.7 / 212,300 = 324.86; at 30 bp it was 543
    whole = replace(mixed, minutes=(use(60_000),), overage_cap_tokens=10_000, overage_hold_micros=1_000_000)
    paid_in_full = calculate(TERMS, whole)
    assert paid_in_full.pay.fee_micros == 380  # 252.6 + 128.1
    assert (paid_in_full.overage.gross_micros, paid_in_full.overage.fee_micros) == (50_000, 89)  # 50,000 x 0.179 %
    assert paid_in_full.overage_fee_micros == 100  # the buyer's, at the contract's 20 bp


def test_thousandths_become_tokens_once_for_the_window() -> None:
    minutes = tuple(MinuteUse(WINDOW_START + timedelta(minutes=i), 500) for i in range(4))
    assert calculate(TERMS, replace(EXAMPLE_1, minutes=minutes)).delivered_tokens == 2


def test_the_minute_rate_is_the_smooth_share_times_the_burst_but_at_least_one_request() -> None:
    terms = replace(TERMS, max_request_tokens=1_000)
    assert minute_rate_tokens(terms, 100_000) == 2_500
    assert minute_rate_tokens(terms, 100_001) == 2_501  # rounded up
    assert minute_rate_tokens(terms, 10_000) == 1_000


def test_refusals_count_only_within_the_rate_of_their_minute() -> None:
    minutes = [use(2_000, 1_000), use(3_000, 1_000, minute=1), use(0, 9_000, minute=2), use(0, 100, minute=3)]
    assert counted_refusals_millitokens(minutes, 2_500) == (500 + 0 + 2_500 + 100) * 1000


def test_short_never_exceeds_what_was_left_undelivered() -> None:
    outcome = calculate(TERMS, replace(EXAMPLE_1, minutes=(use(98_000), use(0, 5_000, minute=1))))
    assert (outcome.short_tokens, outcome.unused_tokens) == (2_000, 0)


def test_damages_stop_at_the_bond_and_fall_away_under_force_majeure() -> None:
    assert calculate(TERMS, replace(EXAMPLE_1, bond_micros=10_000)).damages_micros == 10_000
    excused = calculate(TERMS, replace(EXAMPLE_1, force_majeure=True))
    assert (excused.damages_micros, excused.refund_short_micros) == (0, 21_000)


def test_what_was_not_used_when_a_position_ended_is_short() -> None:
    """Use counts in the minutes that had begun; what is served later is excess, and no overage."""
    ended_at = WINDOW_START + timedelta(minutes=2, seconds=1)
    minutes = (use(30_000), use(20_000, 1_000, minute=2), use(5_000, 9_000, minute=3))
    outcome = calculate(TERMS, replace(EXAMPLE_1, minutes=minutes, ended_at=ended_at))
    assert (outcome.delivered_tokens, outcome.unused_tokens, outcome.short_tokens) == (50_000, 0, 50_000)
    assert (outcome.overage_tokens, outcome.excess_tokens) == (0, 5_000)
    assert (outcome.delivered_micros, outcome.take_or_pay_micros, outcome.refund_short_micros) == (210_000, 0, 210_000)
    assert outcome.damages_micros == 105_000
    cancelled = calculate(TERMS, replace(EXAMPLE_1, minutes=minutes, ended_at=ended_at, force_majeure=True))
    assert (cancelled.short_tokens, cancelled.damages_micros) == (50_000, 0)
    at_once = calculate(TERMS, replace(EXAMPLE_1, minutes=minutes, ended_at=WINDOW_START))
    assert (at_once.delivered_tokens, at_once.short_tokens, at_once.paid_micros) == (0, 100_000, 0)


def test_a_reference_below_the_price_adds_nothing_to_damages() -> None:
    assert calculate(TERMS, replace(EXAMPLE_1, reference_price_micros=1)).damages_micros == 10_500


def test_overage_is_charged_up_to_the_cap_at_the_higher_of_both_prices() -> None:
    above = replace(EXAMPLE_1, minutes=(use(130_000),), overage_cap_tokens=20_000, overage_hold_micros=1_000_000)
    outcome = calculate(TERMS, above)
    assert (outcome.delivered_tokens, outcome.overage_tokens, outcome.excess_tokens) == (100_000, 20_000, 10_000)
    assert outcome.used_tokens == 130_000
    assert (outcome.overage.gross_micros, outcome.overage_fee_micros) == (84_000, 168)
    assert outcome.overage.fee_micros == 252  # the provider's
    assert sum(share.micros for share in outcome.overage.shares) == 84_000 - 252
    dearer = calculate(TERMS, replace(above, reference_price_micros=5_000_000))
    assert dearer.overage.gross_micros == 100_000


def test_overage_stops_where_the_hold_no_longer_covers_it_with_its_fee() -> None:
    above = replace(EXAMPLE_1, minutes=(use(130_000),), overage_cap_tokens=20_000, overage_hold_micros=42_084)
    outcome = calculate(TERMS, above)
    assert outcome.overage_tokens == 10_000
    assert outcome.overage.gross_micros + outcome.overage_fee_micros == 42_084
    assert calculate(TERMS, replace(above, overage_hold_micros=42_083)).overage_tokens == 9_999
    assert calculate(TERMS, replace(above, overage_hold_micros=0)).overage_tokens == 0


def test_without_a_cap_all_that_is_above_is_excess_and_free() -> None:
    outcome = calculate(TERMS, replace(EXAMPLE_1, minutes=(use(130_000),)))
    assert (outcome.overage_tokens, outcome.excess_tokens, outcome.overage.gross_micros) == (0, 30_000, 0)
    assert outcome.refund_micros == 0


def test_nothing_used_and_nothing_refused_leaves_take_or_pay() -> None:
    outcome = calculate(TERMS, replace(EXAMPLE_1, minutes=()))
    assert (outcome.paid_micros, outcome.refund_micros) == (252_000, 168_000)


def test_a_later_run_posts_the_difference() -> None:
    first = calculate(TERMS, EXAMPLE_1)
    late = calculate(TERMS, replace(EXAMPLE_1, minutes=(use(85_000), use(0, 5_000, minute=1))))
    delta = difference(late, first)
    assert (delta.delivered_tokens, delta.unused_tokens, delta.short_tokens) == (5_000, -5_000, 0)
    assert (delta.paid_micros, delta.refund_micros) == (8_400, -8_400)
    nothing = difference(first, first)
    assert {share.micros for share in nothing.pay.shares} == {0}
    assert (nothing.paid_micros, nothing.damages_micros, nothing.delivered_tokens) == (0, 0, 0)


def test_an_outcome_survives_being_recorded() -> None:
    outcome = calculate(TERMS, EXAMPLE_2)
    assert outcome_from_record(outcome_record(outcome)) == outcome


@pytest.mark.parametrize(
    "change",
    [
        {"tokens": 0},
        {"notional_micros": 0},
        {"provider_fee_picos": -1},
        {"provider_fee_picos": 420_000 * 1_000_000 + 1},
        {"bond_micros": -1},
        {"reference_price_micros": -1},
        {"overage_cap_tokens": -1},
        {"overage_hold_micros": -1},
        {"minutes": (use(1), use(2))},
        {"minutes": (MinuteUse(WINDOW_START, -1),)},
    ],
)
def test_impossible_positions_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidPosition) as refused:
        replace(EXAMPLE_1, **change)  # type: ignore[arg-type]
    assert refused.value.fields["field"] == next(iter(change))


@pytest.mark.parametrize("change", [{"window_seconds": 0}, {"take_or_pay_permille": 1001}, {"buyer_fee_ppm": -1}])
def test_impossible_terms_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(InvalidPosition):
        replace(TERMS, **change)  # type: ignore[arg-type]
