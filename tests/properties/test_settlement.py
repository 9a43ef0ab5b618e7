"""Laws of settlement, against oracles that use exact fractions."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import floor

from hypothesis import given
from hypothesis import strategies as st

from ledger.chart import AccountKey
from settlement.calculation import (
    MinuteUse,
    PositionInput,
    PositionOutcome,
    PositionTerms,
    calculate,
    counted_refusals_millitokens,
    difference,
    minute_rate_tokens,
)
from settlement.metering.reconcile import RefusalReason, Side, Tolerance, UsageRecord, reconcile
from settlement.outcome_record import outcome_from_record, outcome_record
from settlement.postings import PartyRef, PositionAccounts, draft_position, release_holds
from settlement.splits import WHOLE_PPM, Recipient, Share, ShareSchedule, split
from settlement.statements.lines import LineContext, buyer_lines, provider_lines

START = datetime(2026, 12, 1, 14, tzinfo=UTC)
ACCOUNTS = PositionAccounts("C@1", 2, 1, 10, PartyRef(21, "b"), PartyRef(22, "p"), "bond", "overage")


@st.composite
def schedules(draw: st.DrawFn) -> ShareSchedule:
    cuts = sorted(draw(st.lists(st.integers(0, WHOLE_PPM), max_size=4)))
    weights = [high - low for low, high in zip([0, *cuts], [*cuts, WHOLE_PPM], strict=True)]
    recipients = draw(st.lists(st.sampled_from(Recipient), min_size=len(weights), max_size=len(weights)))
    return ShareSchedule(
        version=1,
        shares=tuple(
            Share(f"share-{i}", weight, recipient, 30 + i if recipient is Recipient.PARTY else None)
            for i, (weight, recipient) in enumerate(zip(weights, recipients, strict=True))
        ),
    )


@st.composite
def terms(draw: st.DrawFn) -> PositionTerms:
    return PositionTerms(
        window_seconds=draw(st.sampled_from([600, 3600, 86_400])),
        max_request_tokens=draw(st.integers(0, 50_000)),
        burst_permille=draw(st.integers(1000, 3000)),
        take_or_pay_permille=draw(st.integers(0, 1000)),
        damages_permille=draw(st.integers(0, 2000)),
        buyer_fee_ppm=draw(st.integers(0, 50_000)),
        schedule=draw(schedules()),
    )


def uses(most: int = 300_000_000) -> st.SearchStrategy[tuple[MinuteUse, ...]]:
    figures = st.lists(st.tuples(st.integers(0, most), st.integers(0, most)), max_size=5)
    return figures.map(lambda rows: tuple(MinuteUse(START + timedelta(minutes=i), *row) for i, row in enumerate(rows)))


@st.composite
def positions(draw: st.DrawFn) -> PositionInput:
    notional = draw(st.integers(1, 10**10))
    return PositionInput(
        tokens=draw(st.integers(1, 1_000_000)),
        notional_micros=notional,
        provider_fee_picos=draw(st.integers(0, notional * 50_000)),
        minutes=draw(uses()),
        reference_price_micros=draw(st.integers(0, 10**8)),
        bond_micros=draw(st.integers(0, 10**10)),
        overage_cap_tokens=draw(st.integers(0, 500_000)),
        overage_hold_micros=draw(st.integers(0, 10**9)),
        force_majeure=draw(st.booleans()),
    )


def changes(outcome: PositionOutcome) -> dict[AccountKey, int]:
    """What an outcome's postings do to each account."""
    sums: dict[AccountKey, int] = defaultdict(int)
    for draft in draft_position(outcome, ACCOUNTS, run_key="r", effective_at=START):
        for leg in draft.legs:
            sums[leg.account] += leg.amount
    return {account: amount for account, amount in sums.items() if amount}


@given(terms(), positions())
def test_nothing_is_lost_and_nothing_is_made(contract: PositionTerms, position: PositionInput) -> None:
    outcome = calculate(contract, position)
    assert outcome.delivered_tokens + outcome.unused_tokens + outcome.short_tokens == position.tokens
    assert outcome.paid_micros + outcome.refund_micros == position.notional_micros
    assert outcome.delivered_micros + outcome.take_or_pay_micros == outcome.paid_micros
    assert outcome.used_tokens == sum(use.delivered_millitokens for use in position.minutes) // 1000
    assert outcome.overage.gross_micros + outcome.overage_fee_micros <= position.overage_hold_micros
    assert outcome.overage_tokens <= position.overage_cap_tokens
    assert outcome.damages_micros <= position.bond_micros
    for payout in (outcome.pay, outcome.overage):
        assert payout.fee_micros + sum(share.micros for share in payout.shares) == payout.gross_micros
    figures = outcome_record(outcome)
    assert all(int(value) >= 0 for name, value in figures.items() if name not in ("pay", "overage"))
    assert outcome_from_record(figures) == outcome


@given(terms(), positions())
def test_amounts_are_the_exact_fractions_rounded_down(contract: PositionTerms, position: PositionInput) -> None:
    outcome = calculate(contract, position)
    price = Fraction(position.notional_micros, position.tokens)
    reference = Fraction(position.reference_price_micros, 1_000_000)
    damages_rate = max(reference - price, Fraction(0)) + price * Fraction(contract.damages_permille, 1000)
    damages = 0 if position.force_majeure else min(floor(outcome.short_tokens * damages_rate), position.bond_micros)
    paid = price * (outcome.delivered_tokens + outcome.unused_tokens * Fraction(contract.take_or_pay_permille, 1000))
    assert outcome.delivered_micros == floor(price * outcome.delivered_tokens)
    assert outcome.paid_micros == floor(paid)
    assert outcome.refund_short_micros == floor(price * outcome.short_tokens)
    assert outcome.damages_micros == damages
    assert outcome.overage.gross_micros == floor(outcome.overage_tokens * max(price, reference))
    refused = counted_refusals_millitokens(position.minutes, minute_rate_tokens(contract, position.tokens)) // 1000
    assert outcome.short_tokens == min(position.tokens - outcome.delivered_tokens, refused)


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


@given(terms(), positions())
def test_overage_is_as_much_as_cap_and_hold_allow(contract: PositionTerms, position: PositionInput) -> None:
    outcome = calculate(contract, position)
    one_more = outcome.overage_tokens + 1
    if outcome.excess_tokens and one_more <= position.overage_cap_tokens:
        price = max(
            Fraction(position.notional_micros, position.tokens), Fraction(position.reference_price_micros, 10**6)
        )
        micros = floor(one_more * price)
        assert micros + floor(Fraction(micros * contract.buyer_fee_ppm, 10**6)) > position.overage_hold_micros


@given(terms(), positions(), uses(), uses())
def test_runs_that_post_differences_end_where_one_run_would(
    contract: PositionTerms, position: PositionInput, second: tuple[MinuteUse, ...], third: tuple[MinuteUse, ...]
) -> None:
    outcomes = [calculate(contract, _with_minutes(position, minutes)) for minutes in (position.minutes, second, third)]
    sums: dict[AccountKey, int] = defaultdict(int)
    steps = [outcomes[0], difference(outcomes[1], outcomes[0]), difference(outcomes[2], outcomes[1])]
    for step in steps:
        for account, amount in changes(step).items():
            sums[account] += amount
    assert {account: amount for account, amount in sums.items() if amount} == changes(outcomes[2])


@given(terms(), positions())
def test_postings_leave_no_escrow_entitlement_or_obligation_and_no_hold(
    contract: PositionTerms, position: PositionInput
) -> None:
    outcome = calculate(contract, position)
    moved = changes(outcome)
    assert moved.get(ACCOUNTS.escrow, 0) == -position.notional_micros
    tokens = {account.party_id: amount for account, amount in moved.items() if account.asset_id == 2}
    assert tokens == {21: -position.tokens, 22: position.tokens}
    held: dict[str, int] = defaultdict(int)
    drafts = draft_position(outcome, ACCOUNTS, run_key="r", effective_at=START)
    final = release_holds(
        outcome,
        ACCOUNTS,
        bond_micros=position.bond_micros,
        overage_hold_micros=position.overage_hold_micros,
        run_key="f",
        effective_at=START,
    )
    for draft in [*drafts, *final]:
        for hold in draft.holds:
            held[hold.ref] += hold.delta
    assert (held["bond"], held["overage"]) == (-position.bond_micros, -position.overage_hold_micros)


@given(terms(), positions())
def test_lines_name_postings_that_exist_and_sum_to_what_those_changed(
    contract: PositionTerms, position: PositionInput
) -> None:
    outcome = calculate(contract, position)
    drafts = draft_position(outcome, ACCOUNTS, run_key="r", effective_at=START)
    posted = {draft.reference: draft.legs for draft in drafts}
    context = LineContext(
        ACCOUNTS, "r", START, START, position.tokens, position.notional_micros, position.reference_price_micros, "S", 0
    )
    for account, lines in (
        (ACCOUNTS.buyer_cash, buyer_lines(outcome, context)),
        (ACCOUNTS.provider_cash, provider_lines(outcome, context)),
    ):
        sums: dict[str, int] = defaultdict(int)
        for line in lines:
            if line.reference is not None:
                sums[line.reference] += line.amount_micros
        moved = {ref: sum(leg.amount for leg in legs if leg.account == account) for ref, legs in posted.items()}
        assert {ref: moved[ref] for ref in sums} == sums
        assert sum(sums.values()) == sum(moved.values())


@given(terms(), positions(), st.integers(0, 10**6))
def test_slicing_use_differently_within_a_minute_changes_nothing(
    contract: PositionTerms, position: PositionInput, part: int
) -> None:
    """Two half records of a minute are the same as one: only the window's total is rounded."""
    records: list[UsageRecord] = []
    for number, use in enumerate(position.minutes):
        for half in (min(part, use.delivered_millitokens), max(0, use.delivered_millitokens - part)):
            records.append(UsageRecord(Side.PROVIDER, f"{number}-{len(records)}", use.minute, half))
    joined = reconcile(records, tolerance=Tolerance())
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


def usage_records() -> st.SearchStrategy[list[UsageRecord]]:
    request_ids = st.sampled_from(["a", "b", "c", "d", "e"])
    return st.lists(
        st.builds(
            UsageRecord,
            side=st.sampled_from(Side),
            request_id=request_ids,
            accepted_at=st.integers(0, 200).map(lambda seconds: START + timedelta(seconds=seconds)),
            millitokens=st.integers(0, 50),
            refusal=st.none() | st.sampled_from(RefusalReason),
            retry_of=st.none() | request_ids,
        ),
        max_size=12,
    )


@given(usage_records(), st.integers(0, 20), st.randoms(use_true_random=False))
def test_reconciliation_does_not_depend_on_the_order_of_records(
    records: list[UsageRecord], bound: int, shuffler: random.Random
) -> None:
    shuffled = list(records)
    shuffler.shuffle(shuffled)
    tolerance = Tolerance(absolute_millitokens=bound)
    assert reconcile(records, tolerance=tolerance) == reconcile(shuffled, tolerance=tolerance)


@given(usage_records(), st.integers(0, 20))
def test_reconciliation_never_settles_more_than_a_meter_claimed(records: list[UsageRecord], bound: int) -> None:
    result = reconcile(records, tolerance=Tolerance(absolute_millitokens=bound))
    assert {request.request_id for request in result.requests} == {record.request_id for record in records}
    for request in result.requests:
        claims = [record.millitokens for record in records if record.request_id == request.request_id]
        assert 0 <= request.settled_millitokens <= max(claims)
        assert request.counted_millitokens == 0 or request.settled_millitokens == 0
        if request.counted_millitokens:
            assert any(
                record.refusal in (RefusalReason.CAPACITY, RefusalReason.FAILURE) and record.side is not Side.BUYER
                for record in records
                if record.request_id == request.request_id
            )
    assert sum(use.delivered_millitokens for use in result.minutes) == result.settled_millitokens
    assert sum(use.refused_millitokens for use in result.minutes) == sum(r.counted_millitokens for r in result.requests)


@given(usage_records())
def test_a_repeated_record_changes_nothing(records: list[UsageRecord]) -> None:
    assert reconcile(records + records, tolerance=Tolerance()) == reconcile(records, tolerance=Tolerance())


def _with_minutes(position: PositionInput, minutes: tuple[MinuteUse, ...]) -> PositionInput:
    return replace(position, minutes=minutes)
