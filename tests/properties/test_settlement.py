"""Laws of settlement, against oracles that use exact fractions."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from math import floor

from hypothesis import given, settings
from hypothesis import strategies as st

from settlement.calculation import (
    MinuteUse,
    PositionInput,
    PositionTerms,
    calculate,
    difference,
    exact_figures,
)
from settlement.make_up import MakeUp
from settlement.metering.reconcile import RecordKind, Side, Tolerance, UsageRecord, reconcile
from settlement.metering.weights import plain_weights
from settlement.outcome import FIGURES, PAYOUTS
from settlement.outcome_record import outcome_from_record, outcome_record
from settlement.splits import WHOLE_PPM, Share, ShareSchedule, split
from tests.properties.settlement_oracle import settle
from tests.properties.settlement_positions import (
    credits,
    full_positions,
    full_terms,
    positions,
    schedules,
    terms,
    uses,
)

WEIGHTS = plain_weights(input_milli=1000, cache_read_milli=100, output_milli=4000)


@given(full_terms(), full_positions())
@settings(max_examples=400)
def test_every_figure_is_what_the_rules_give_in_fractions(contract: PositionTerms, position: PositionInput) -> None:
    outcome, expected = calculate(contract, position), settle(contract, position)
    assert {name: getattr(outcome, f"{name}_tokens") for name in expected.tokens} == expected.tokens
    assert (dict(outcome.made_up_from), set(outcome.missed)) == (expected.made_up_from, expected.missed)
    told = {kind: getattr(outcome, f"{kind}_micros") for kind in expected.posted if hasattr(outcome, f"{kind}_micros")}
    for name, payout in (("pay", outcome.pay), ("overage", outcome.overage), ("made_up", outcome.made_up)):
        told |= {f"{name}.gross": payout.gross_micros, f"{name}.fee": payout.fee_micros}
    told |= {"overage": outcome.overage.gross_micros, "made_up": outcome.made_up.gross_micros}
    assert told == expected.posted


@given(full_terms(), full_positions())
def test_exact_figures_are_those_fractions_in_lowest_terms(contract: PositionTerms, position: PositionInput) -> None:
    outcome, expected = calculate(contract, position), settle(contract, position)
    told = exact_figures(contract, position)
    assert told == exact_figures(contract, position, outcome)
    lines = {"pay": "pay_provider", "overage": "overage", "made_up": "made_up"}
    fees = {f"{line}:provider_fee": expected.exact[f"{name}.fee"] for name, line in lines.items()}
    kinds = {kind: value for kind, value in expected.exact.items() if not kind.endswith(".fee")}
    shares = {
        f"{line}:share:{amount.share.beneficiary}": Fraction(
            getattr(outcome, name).net_micros * amount.share.weight_ppm, WHOLE_PPM
        )
        for name, line in lines.items()
        for amount in getattr(outcome, name).shares
    }
    wanted = {kind: value.as_integer_ratio() for kind, value in (kinds | fees | shares).items() if value}
    assert told == wanted
    for kind in kinds:
        gap = expected.posted[kind] - Fraction(*told.get(kind, (0, 1)))
        assert -1 < gap < (2 if kind in ("refund_unused", "suspended") else 1)


@given(full_terms(), full_positions())
def test_escrow_is_shared_out_whole_and_no_hold_is_overdrawn(contract: PositionTerms, position: PositionInput) -> None:
    outcome = calculate(contract, position)
    out = outcome.paid_micros + outcome.sla_micros + outcome.refund_micros + outcome.suspended_micros
    assert out == position.notional_micros
    assert outcome.delivered_micros + outcome.take_or_pay_micros == outcome.paid_micros + outcome.sla_micros
    assert outcome.held_charge_micros <= position.overage_hold_micros
    assert outcome.used_tokens == sum(use.delivered_millitokens for use in position.minutes) // 1000
    assert all(getattr(outcome, name) >= 0 for name in FIGURES)
    for payout in (outcome.pay, outcome.overage, outcome.made_up):
        assert payout.fee_micros + sum(share.micros for share in payout.shares) == payout.gross_micros
    assert sum(tokens for _, tokens in outcome.made_up_from) == outcome.made_up_tokens
    assert outcome_from_record(json.loads(json.dumps(outcome_record(outcome)))) == outcome


@given(full_terms(), full_positions(), uses(), credits())
def test_a_change_and_what_came_before_it_make_the_later_figures(
    contract: PositionTerms, position: PositionInput, minutes: tuple[MinuteUse, ...], make_up: tuple[MakeUp, ...]
) -> None:
    first = calculate(contract, position)
    later = calculate(contract, replace(position, minutes=minutes, make_up=make_up, disputed_millitokens=0))
    change = difference(later, first)
    assert later.suspended_micros == 0
    assert all(getattr(first, name) + getattr(change, name) == getattr(later, name) for name in FIGURES)
    for name in PAYOUTS:
        sums: dict[Share, int] = defaultdict(int)
        for payout in (getattr(first, name), getattr(change, name)):
            for amount in payout.shares:
                sums[amount.share] += amount.micros
        assert {share: micros for share, micros in sums.items() if micros} == {
            amount.share: amount.micros for amount in getattr(later, name).shares if amount.micros
        }


@given(
    terms(), positions(), st.lists(st.tuples(st.integers(1, 10**9), st.integers(0, 100_000)), min_size=1, max_size=6)
)
def test_the_providers_fee_is_what_its_fills_would_pay_one_by_one_but_for_one_rounding(
    contract: PositionTerms, position: PositionInput, fills: list[tuple[int, int]]
) -> None:
    """A fill's part of what is paid is its part of the notional."""
    notional = sum(micros for micros, _ in fills)
    picos = sum(micros * ppm for micros, ppm in fills)
    outcome = calculate(contract, replace(position, notional_micros=notional, provider_fee_picos=picos))
    for payout in (outcome.pay, outcome.overage):
        parts = [Fraction(payout.gross_micros * micros * ppm, notional * 10**6) for micros, ppm in fills]
        assert payout.fee_micros == floor(sum(parts))
        assert 0 <= payout.fee_micros - sum(map(floor, parts)) < len(fills)
        lowest, highest = min(ppm for _, ppm in fills), max(ppm for _, ppm in fills)
        assert payout.gross_micros * lowest // 10**6 <= payout.fee_micros <= payout.gross_micros * highest // 10**6


@given(terms(), positions(), st.integers(0, 10**6))
def test_slicing_use_differently_within_a_minute_changes_nothing(
    contract: PositionTerms, position: PositionInput, part: int
) -> None:
    """Two half records of a minute are the same as one: only the window's total is rounded."""
    records: list[UsageRecord] = []
    for number, use in enumerate(position.minutes):
        for half in (min(part, use.delivered_millitokens), max(0, use.delivered_millitokens - part)):
            records.append(_delivered(f"{number}-{len(records)}", use.minute, half))
    joined = reconcile(records, weights=WEIGHTS, tolerance=Tolerance())
    whole = tuple(MinuteUse(use.minute, use.delivered_millitokens) for use in position.minutes)
    assert joined.minutes == whole
    assert calculate(contract, _with_minutes(position, joined.minutes)) == calculate(
        contract, _with_minutes(position, whole)
    )


@given(st.integers(0, 10**12), schedules())
def test_shares_are_whole_and_never_off_by_a_unit(net: int, schedule: ShareSchedule) -> None:
    shares = split(net, schedule)
    assert sum(share.micros for share in shares) == net
    assert all(abs(share.micros - Fraction(net * share.share.weight_ppm, WHOLE_PPM)) < 1 for share in shares)


def _delivered(request_id: str, accepted_at: datetime, millitokens: int) -> UsageRecord:
    return UsageRecord(Side.PROVIDER, RecordKind.COMPLETED, request_id, accepted_at, millitokens=millitokens)


def _with_minutes(position: PositionInput, minutes: tuple[MinuteUse, ...]) -> PositionInput:
    return replace(position, minutes=minutes)
