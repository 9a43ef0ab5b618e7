"""What a final run posts for a position, and who bears what a payer cannot pay."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chart import AccountKey, Role
from ledger.drafts import HoldChange, Leg, TransactionDraft
from settlement.adjustments import CLAIM_REF, DEBT_REF, adjustment_reference, cover, draft_adjustment, within_holds
from settlement.calculation import PositionOutcome, calculate
from tests.unit.settlement.worked_examples import ACCOUNTS, EXAMPLE_1, TERMS, WINDOW_START, use

RUN = "20261201T1400Z/60/final"
CURRENCY = ACCOUNTS.currency_id
CODES = {1: "ada", 2: "bob", 3: "eve"}


def adjusted(new: PositionOutcome, old: PositionOutcome) -> TransactionDraft | None:
    return draft_adjustment(new, old, ACCOUNTS, run_key=RUN, effective_at=WINDOW_START)


def net(draft: TransactionDraft, account: AccountKey) -> int:
    return sum(leg.amount for leg in draft.legs if leg.account == account)


def test_no_change_posts_nothing() -> None:
    outcome = calculate(TERMS, EXAMPLE_1)
    assert adjusted(outcome, outcome) is None


def test_late_delivery_takes_the_refund_back_and_leaves_escrow_and_tokens_even() -> None:
    before, after = replace(EXAMPLE_1, minutes=(use(60_000),)), replace(EXAMPLE_1, minutes=(use(80_000),))
    draft = adjusted(calculate(TERMS, after), calculate(TERMS, before))
    assert draft is not None
    assert draft.reference == adjustment_reference(ACCOUNTS, RUN)
    assert net(draft, ACCOUNTS.escrow) == 0
    tokens = AccountKey(ACCOUNTS.buyer.id, ACCOUNTS.contract_asset_id, Role.ENTITLEMENT)
    assert net(draft, tokens) == 0
    assert net(draft, ACCOUNTS.buyer_cash) == -20_000 * 420_000 * 4 // (10 * 100_000)
    assert {leg.ref for leg in draft.legs} >= {"delivered", "unused", "refund_unused", "pay_provider"}


def cash(party: int) -> AccountKey:
    return AccountKey(party, CURRENCY, Role.CASH)


def draft_of(*legs: tuple[int, int], freed: int = 0, held: int = 0) -> TransactionDraft:
    changes = (HoldChange(cash(1), -freed, "overage"), HoldChange(cash(2), held, "bond"))
    holds = tuple(change for change in changes if change.delta)
    return TransactionDraft(
        "adjustment", "settlement", "r", WINDOW_START, tuple(Leg(cash(party), amount) for party, amount in legs), holds
    )


def test_a_payer_with_enough_pays_all() -> None:
    draft = draft_of((1, -100), (2, 100))
    covered, after = cover(draft, {cash(1): 150, cash(2): 0}, CODES)
    assert covered is draft
    assert after == {cash(1): 50, cash(2): 100}


def test_what_the_position_held_pays_before_free_cash() -> None:
    covered, after = cover(draft_of((1, -100), (2, 100), freed=80), {cash(1): 30, cash(2): 0}, CODES)
    assert len(covered.legs) == 2
    assert after[cash(1)] == 10


def test_a_shortage_becomes_debt_and_claims_in_proportion() -> None:
    covered, after = cover(draft_of((1, -100), (2, 70), (3, 30)), dict.fromkeys(map(cash, CODES), 0), CODES)
    debt = AccountKey(1, CURRENCY, Role.DEBT)
    claims = {party: AccountKey(party, CURRENCY, Role.CLAIM, "ada") for party in (2, 3)}
    assert net(covered, debt) == -100
    assert {party: net(covered, claim) for party, claim in claims.items()} == {2: 70, 3: 30}
    assert all(net(covered, cash(party)) == 0 for party in CODES)
    assert set(after.values()) == {0}
    assert {leg.ref for leg in covered.legs[3:]} == {DEBT_REF, CLAIM_REF}


def newly_held(draft: TransactionDraft, account: AccountKey) -> int:
    return sum(hold.delta for hold in draft.holds if hold.account == account)


@pytest.mark.parametrize(("has", "held"), [(0, 2), (2, 4), (9, 5)])
def test_what_is_only_claimed_is_not_held_back_again(has: int, held: int) -> None:
    """Damages of 5 go back to a bond, of which the buyer can pay 2: the rest is held as far as there is free cash."""
    covered, after = cover(draft_of((1, -5), (2, 5), held=5), {cash(1): 2, cash(2): has}, CODES)
    assert net(covered, AccountKey(2, CURRENCY, Role.CLAIM, "ada")) == 3
    assert newly_held(covered, cash(2)) == held
    assert after == {cash(1): 0, cash(2): has + 2 - held}


def test_a_credit_that_pays_other_lines_of_its_account_is_not_held_either() -> None:
    covered, after = cover(draft_of((2, 5), (2, -3), (1, -2), held=5), {cash(1): 2, cash(2): 0}, CODES)
    assert newly_held(covered, cash(2)) == 2
    assert (len(covered.legs), after) == (3, {cash(1): 0, cash(2): 0})


def test_no_more_is_taken_out_of_a_hold_than_is_left_of_it() -> None:
    draft = draft_of((1, -100), (2, 100), freed=80)
    assert within_holds(draft, {"overage": 80}) == draft
    cut = within_holds(draft, {"overage": 50})
    assert newly_held(cut, cash(1)) == -50
    assert within_holds(draft, {}).holds == ()
    assert cover(cut, {cash(1): 50, cash(2): 0}, CODES)[1] == {cash(1): 0, cash(2): 100}


@given(
    moves=st.lists(st.integers(-1_000, 1_000).filter(bool), min_size=1, max_size=2, unique=True),
    free=st.lists(st.integers(0, 800), min_size=3, max_size=3),
    held=st.integers(0, 1_500),
    freed=st.integers(0, 500),
)
def test_cover_keeps_the_sum_and_leaves_nobody_below_zero(
    moves: list[int], free: list[int], held: int, freed: int
) -> None:
    legs = [*((party, amount) for party, amount in enumerate(moves, start=1)), (3, -sum(moves))]
    draft = draft_of(*((party, amount) for party, amount in legs if amount), freed=freed, held=held)
    before = {cash(party): free[party - 1] for party in CODES}
    covered, after = cover(draft, before, CODES)
    assert sum(leg.amount for leg in covered.legs) == 0
    for party in CODES:
        key = cash(party)
        assert after.get(key, 0) >= 0
        assert before[key] + net(covered, key) - newly_held(covered, key) == after.get(key, before[key])
    assert newly_held(covered, cash(1)) == -freed
    assert 0 <= newly_held(covered, cash(2)) <= held
    if newly_held(covered, cash(2)) < held:
        assert after[cash(2)] == 0  # no more than it could not have
    debts = sum(leg.amount for leg in covered.legs if leg.account.role is Role.DEBT)
    claims = sum(leg.amount for leg in covered.legs if leg.account.role is Role.CLAIM)
    assert debts == -claims <= 0


@pytest.mark.parametrize("refused", [0, 5_000])
def test_adjusting_from_nothing_equals_the_figures_themselves(refused: int) -> None:
    """The change from one figure to another and back is nothing."""
    first = calculate(TERMS, replace(EXAMPLE_1, minutes=(use(70_000, refused),)))
    second = calculate(TERMS, EXAMPLE_1)
    there = adjusted(second, first)
    back = adjusted(first, second)
    assert there is not None
    assert back is not None
    for account in {leg.account for leg in there.legs}:
        assert net(there, account) == -net(back, account)
