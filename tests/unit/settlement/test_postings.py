from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from ledger.chart import AccountKey, Role
from ledger.drafts import TransactionDraft
from settlement.calculation import PositionOutcome, calculate, difference
from settlement.postings import Line, draft_chunk, draft_release
from settlement.splits import Recipient, Share, ShareSchedule
from tests.unit.settlement.worked_examples import (
    ACCOUNTS,
    COMPUTE_PARTY,
    EXAMPLE_1,
    MODEL_PARTY,
    POWER_PARTY,
    TERMS,
    use,
)

AT = datetime(2026, 12, 2, tzinfo=UTC)
ENTITLEMENT = AccountKey(ACCOUNTS.buyer.id, ACCOUNTS.contract_asset_id, Role.ENTITLEMENT)
OBLIGATION = AccountKey(ACCOUNTS.provider.id, ACCOUNTS.contract_asset_id, Role.OBLIGATION)


def drafts_of(*outcomes: PositionOutcome) -> list[TransactionDraft]:
    draft = draft_chunk([(outcome, ACCOUNTS) for outcome in outcomes], reference="run-1/c/0001", effective_at=AT)
    return [] if draft is None else [draft]


def released(outcome: PositionOutcome, bond_micros: int, overage_hold_micros: int) -> list[TransactionDraft]:
    positions = [(outcome, ACCOUNTS, bond_micros, overage_hold_micros)]
    draft = draft_release(positions, reference="run-1/c/0001/release", effective_at=AT)
    return [] if draft is None else [draft]


def changes(drafts: Iterable[TransactionDraft]) -> dict[AccountKey, int]:
    sums: dict[AccountKey, int] = defaultdict(int)
    for draft in drafts:
        for leg in draft.legs:
            sums[leg.account] += leg.amount
    return {account: amount for account, amount in sums.items() if amount}


def held(drafts: Iterable[TransactionDraft]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for draft in drafts:
        for hold in draft.holds:
            sums[hold.ref] += hold.delta
    return sums


def cash(party_id: int) -> AccountKey:
    return AccountKey(party_id, ACCOUNTS.currency_id, Role.CASH)


def test_the_first_worked_example_posts_to_the_micro() -> None:
    drafts = drafts_of(calculate(TERMS, EXAMPLE_1))
    assert changes(drafts) == {
        ENTITLEMENT: -100_000,
        OBLIGATION: 100_000,
        ACCOUNTS.escrow: -420_000,
        ACCOUNTS.fees: 1_121,
        ACCOUNTS.buyer_cash: 25_200 + 21_000 + 10_500,
        ACCOUNTS.provider_cash: -10_500,
        cash(COMPUTE_PARTY): 260_875,
        cash(MODEL_PARTY): 74_536,
        cash(POWER_PARTY): 37_268,
    }
    assert held(drafts) == {"bond/1": -10_500}
    (draft,) = drafts
    assert (draft.kind, draft.reference) == ("settle", "run-1/c/0001")
    told = {"delivered", "unused", "short", "pay_provider", "refund_unused", "refund_short", "damages"}
    assert {leg.ref for leg in draft.legs} == told


def test_positions_of_a_chunk_are_summed_by_account_and_line() -> None:
    outcome = calculate(TERMS, EXAMPLE_1)
    (one,), (both,) = drafts_of(outcome), drafts_of(outcome, outcome)
    assert [(leg.account, leg.ref, 2 * leg.amount) for leg in one.legs] == [
        (leg.account, leg.ref, leg.amount) for leg in both.legs
    ]
    assert held([both]) == {"bond/1": -21_000}
    assert len({(leg.account, leg.ref) for leg in both.legs}) == len(both.legs)


def test_every_money_line_balances_by_itself() -> None:
    position = replace(EXAMPLE_1, minutes=(use(110_000),), overage_cap_tokens=20_000, overage_hold_micros=90_000)
    outcomes = [calculate(TERMS, EXAMPLE_1), calculate(TERMS, position), replace(calculate(TERMS, EXAMPLE_1))]
    (draft,) = drafts_of(*outcomes)
    for line in Line:
        assert sum(leg.amount for leg in draft.legs if leg.ref == line.value) == 0


def test_the_providers_own_share_stays_and_one_without_an_owner_is_held() -> None:
    schedule = ShareSchedule(
        2, (Share("compute", 900_000, Recipient.PROVIDER), Share("dataset", 100_000, Recipient.UNKNOWN))
    )
    outcome = calculate(replace(TERMS, schedule=schedule), EXAMPLE_1)
    moved = changes(drafts_of(outcome))
    held_share = AccountKey(ACCOUNTS.house_id, ACCOUNTS.currency_id, Role.HELD_SHARE)
    assert moved[held_share] == 37_268
    assert moved[ACCOUNTS.provider_cash] == 372_679 - 37_268 - 10_500


def test_overage_comes_out_of_its_hold_and_what_is_left_is_released_at_the_end() -> None:
    position = replace(
        EXAMPLE_1,
        minutes=(use(110_000), use(0, 5_000, minute=1)),
        overage_cap_tokens=20_000,
        overage_hold_micros=90_000,
    )
    outcome = calculate(TERMS, position)
    drafts = drafts_of(outcome)
    overage = {leg.account: leg.amount for leg in drafts[0].legs if leg.ref == "overage"}
    assert overage[ACCOUNTS.buyer_cash] == -42_084
    assert overage[ACCOUNTS.fees] == 84 + 126
    assert all(account.asset_id == ACCOUNTS.currency_id for account in overage)
    freed = released(outcome, 50_000, 90_000)
    assert held([*drafts, *freed]) == {"bond/1": -50_000, "overage/1": -90_000}
    assert all(not draft.legs for draft in freed)


def test_nothing_held_releases_nothing() -> None:
    outcome = calculate(TERMS, replace(EXAMPLE_1, bond_micros=0))
    assert released(outcome, 0, 0) == []


def test_a_difference_runs_legs_backwards_and_both_runs_sum_to_the_later_one() -> None:
    first = calculate(TERMS, EXAMPLE_1)
    second = calculate(TERMS, replace(EXAMPLE_1, minutes=(use(85_000),)))
    delta = drafts_of(difference(second, first))
    assert changes([*drafts_of(first), *delta]) == changes(drafts_of(second))
    assert held([*drafts_of(first), *delta])["bond/1"] == 0
    assert drafts_of(difference(first, first)) == []
