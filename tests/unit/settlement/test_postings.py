from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from ledger.chart import AccountKey, Role
from ledger.drafts import TransactionDraft
from settlement.calculation import PositionOutcome, calculate, difference
from settlement.postings import draft_position, release_holds
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


def drafts_of(outcome: PositionOutcome, run_key: str = "run-1") -> list[TransactionDraft]:
    return draft_position(outcome, ACCOUNTS, run_key=run_key, effective_at=AT)


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
    assert [draft.kind for draft in drafts] == [
        "delivered",
        "unused",
        "short",
        "pay_provider",
        "refund_unused",
        "refund_short",
        "damages",
    ]


def test_references_follow_from_run_position_and_line_alone() -> None:
    outcome = calculate(TERMS, EXAMPLE_1)
    assert drafts_of(outcome)[0].reference == (
        "run-1/QWEN3-235B.CN-EAST.STD@20261201T14/1H/buyer-a/provider-p/delivered"
    )
    assert drafts_of(outcome) == drafts_of(outcome)
    first, second = drafts_of(outcome), drafts_of(outcome, "run-2")
    assert len({draft.reference for draft in first + second}) == len(first) + len(second)


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
    overage = next(draft for draft in drafts if draft.kind == "overage")
    assert changes([overage])[ACCOUNTS.buyer_cash] == -42_084
    assert changes([overage])[ACCOUNTS.fees] == 84 + 126
    assert all(leg.account.asset_id == ACCOUNTS.currency_id for leg in overage.legs)
    released = release_holds(
        outcome, ACCOUNTS, bond_micros=50_000, overage_hold_micros=90_000, run_key="run-9", effective_at=AT
    )
    assert held([*drafts, *released]) == {"bond/1": -50_000, "overage/1": -90_000}
    assert all(not draft.legs for draft in released)


def test_nothing_held_releases_nothing() -> None:
    outcome = calculate(TERMS, replace(EXAMPLE_1, bond_micros=0))
    assert not release_holds(outcome, ACCOUNTS, bond_micros=0, overage_hold_micros=0, run_key="run-9", effective_at=AT)


def test_a_difference_runs_legs_backwards_and_both_runs_sum_to_the_later_one() -> None:
    first = calculate(TERMS, EXAMPLE_1)
    second = calculate(TERMS, replace(EXAMPLE_1, minutes=(use(85_000),)))
    delta = drafts_of(difference(second, first), "run-2")
    assert changes([*drafts_of(first), *delta]) == changes(drafts_of(second))
    assert held([*drafts_of(first), *delta])["bond/1"] == 0
    assert drafts_of(difference(first, first)) == []
