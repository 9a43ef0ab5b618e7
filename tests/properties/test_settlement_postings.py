"""Laws of what settlement posts and states, over positions with everything that terms may ask for."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

from hypothesis import given

from ledger.chart import AccountKey
from settlement.adjustments import draft_adjustment
from settlement.calculation import (
    MinuteUse,
    PositionInput,
    PositionOutcome,
    PositionTerms,
    calculate,
    difference,
    exact_figures,
)
from settlement.postings import PartyRef, PositionAccounts, draft_chunk, draft_release, position_legs
from settlement.statements.party_lines import LineTerms, PartyLine, position_lines
from tests.properties.settlement_positions import START, full_positions, full_terms, uses

ACCOUNTS = PositionAccounts("C@1", 2, 1, 10, PartyRef(21, "b"), PartyRef(22, "p"), "bond", "overage")
OWNERS = {30 + number: f"owner-{number}" for number in range(5)}  # as the schedules name them
CASH = {ACCOUNTS.buyer_cash: "b", ACCOUNTS.provider_cash: "p", ACCOUNTS.fees: "house"} | {
    ACCOUNTS.buyer_cash._replace(party_id=number): code for number, code in OWNERS.items()
}


def changes(outcome: PositionOutcome) -> dict[AccountKey, int]:
    """What an outcome's postings do to each account."""
    sums: dict[AccountKey, int] = defaultdict(int)
    for leg in position_legs(outcome, ACCOUNTS):
        sums[leg.account] += leg.amount
    return {account: amount for account, amount in sums.items() if amount}


def lines_of(
    position: PositionInput, terms: PositionTerms, outcome: PositionOutcome, earlier: PositionOutcome | None = None
) -> list[PartyLine]:
    context = LineTerms(
        "C@1", START, START, "b", "p", "house", position.tokens, position.notional_micros,
        position.reference_price_micros, "S", 60_000,
    )  # fmt: skip
    exact = exact_figures(terms, position, outcome)
    return list(position_lines(context, outcome, earlier, exact, reference="run/C@1/0001", codes=OWNERS))


@given(full_terms(), full_positions())
def test_a_position_leaves_no_escrow_entitlement_or_obligation_and_in_the_end_no_hold(
    terms: PositionTerms, position: PositionInput
) -> None:
    outcome = calculate(terms, position)
    moved = changes(outcome)
    assert sum(amount for account, amount in moved.items() if account.asset_id == 1) == 0
    assert moved.get(ACCOUNTS.escrow, 0) == -position.notional_micros
    assert moved.get(ACCOUNTS.suspense, 0) == outcome.suspended_micros
    tokens = {account.party_id: amount for account, amount in moved.items() if account.asset_id == 2}
    assert tokens == {21: -position.tokens, 22: position.tokens}
    held: dict[str, int] = defaultdict(int)
    posted = draft_chunk([(outcome, ACCOUNTS)], reference="r", effective_at=START)
    freed = draft_release(
        [(outcome, ACCOUNTS, position.bond_micros, position.overage_hold_micros)], reference="f", effective_at=START
    )
    for draft in (posted, freed):
        for hold in draft.holds if draft is not None else ():
            held[hold.ref] += hold.delta
    assert (held["bond"], held["overage"]) == (-position.bond_micros, -position.overage_hold_micros)


@given(full_terms(), full_positions(), uses(), uses())
def test_runs_that_post_differences_end_where_one_run_would(
    terms: PositionTerms, position: PositionInput, second: tuple[MinuteUse, ...], third: tuple[MinuteUse, ...]
) -> None:
    outcomes = [calculate(terms, position), *(calculate(terms, later(position, use)) for use in (second, third))]
    sums: dict[AccountKey, int] = defaultdict(int, changes(outcomes[0]))
    for old, new in pairwise(outcomes):
        adjustment = draft_adjustment(new, old, ACCOUNTS, run_key="r", effective_at=START)
        for leg in adjustment.legs if adjustment is not None else ():
            sums[leg.account] += leg.amount
    assert {account: amount for account, amount in sums.items() if amount} == changes(outcomes[2])
    assert sums[ACCOUNTS.suspense] == 0


@given(full_terms(), full_positions(), uses())
def test_lines_sum_to_the_legs_that_they_name(
    terms: PositionTerms, position: PositionInput, minutes: tuple[MinuteUse, ...]
) -> None:
    """Of each party by ref, in a first run and in a later one."""
    first = calculate(terms, position)
    second = calculate(terms, later(position, minutes))
    for outcome, earlier, asked in ((first, None, position), (second, first, later(position, minutes))):
        posted = outcome if earlier is None else difference(outcome, earlier)
        moved: dict[tuple[str, str], int] = defaultdict(int)
        for leg in position_legs(posted, ACCOUNTS):
            if leg.account in CASH:
                moved[CASH[leg.account], leg.ref] += leg.amount
        told: dict[tuple[str, str], int] = defaultdict(int)
        for line in lines_of(asked, terms, outcome, earlier):
            assert line.amount_micros == 0 or line.ref
            told[line.party, line.ref] += line.amount_micros
        assert {key: micros for key, micros in told.items() if micros} == {
            key: micros for key, micros in moved.items() if micros
        }


@given(full_terms(), full_positions(), uses())
def test_each_line_is_within_two_micros_of_its_exact_value(
    terms: PositionTerms, position: PositionInput, minutes: tuple[MinuteUse, ...]
) -> None:
    first = calculate(terms, position)
    asked = later(position, minutes)
    for line in lines_of(asked, terms, calculate(terms, asked), first):
        numerator, denominator = line.exact
        assert abs(line.cumulative_micros * denominator - numerator) < 2 * denominator, line


def later(position: PositionInput, minutes: tuple[MinuteUse, ...]) -> PositionInput:
    """The same as a final run sees it: with other use, and no case open."""
    return replace(position, minutes=minutes, disputed_millitokens=0)
