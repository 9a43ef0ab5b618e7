from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from settlement.metering.reconcile import (
    CaseKind,
    Ruling,
    Side,
    UsageRecord,
)
from tests.unit.settlement.usage_said import (
    START,
    only,
    reconciled,
    refused,
    served,
)

P, B, G = Side.PROVIDER, Side.BUYER, Side.GATEWAY
BUYER_COMPLETE = frozenset({B})


@pytest.mark.parametrize(
    ("records", "kind", "ruling", "settled_output"),
    [
        ([served(P, 100), served(B, 40)], CaseKind.FIGURES_DIFFER, Ruling.PROVIDER, 100),
        ([served(P, 100), served(B, 40)], CaseKind.FIGURES_DIFFER, Ruling.BUYER, 40),
        ([served(P, 40), served(B, 100)], CaseKind.FIGURES_DIFFER, Ruling.BUYER, 100),
        ([served(P, 40), served(B, 100)], CaseKind.FIGURES_DIFFER, Ruling.MINIMUM, 40),
        ([served(P, 40), refused(side=B)], CaseKind.DELIVERY_DENIED, Ruling.PROVIDER, 40),
        ([served(P, 40), refused(side=B)], CaseKind.DELIVERY_DENIED, Ruling.BUYER, 0),
        ([refused(), served(B, 40)], CaseKind.DELIVERY_DENIED, Ruling.BUYER, 40),
        ([refused(), served(B, 40)], CaseKind.DELIVERY_DENIED, Ruling.MINIMUM, 0),
        ([served(P, 40)], CaseKind.PROVIDER_ALONE, Ruling.PROVIDER, 40),
        ([served(P, 40)], CaseKind.PROVIDER_ALONE, Ruling.BUYER, 0),
        ([served(P, 40)], CaseKind.PROVIDER_ALONE, Ruling.MINIMUM, 0),
        ([refused(side=B)], CaseKind.REFUSAL_CLAIMED, Ruling.BUYER, 0),
    ],
)
def test_a_ruling_decides_whose_record_settles(
    records: list[UsageRecord], kind: CaseKind, ruling: Ruling, settled_output: int
) -> None:
    free = reconciled(*records, complete=BUYER_COMPLETE)
    assert only(free).kind is kind
    assert not only(free).ruled
    ruled = reconciled(*records, complete=BUYER_COMPLETE, rulings={kind: ruling})
    assert only(ruled).settled_millitokens == settled_output * 4000
    assert (only(ruled).kind, only(ruled).ruled, only(ruled).disputed_millitokens) == (kind, True, 0)


def test_a_ruling_is_for_its_kind_alone() -> None:
    records = [served(P, 100), served(B, 40)]
    others = [kind for kind in CaseKind if kind is not CaseKind.FIGURES_DIFFER]
    rulings: dict[CaseKind, Ruling] = dict.fromkeys(others, Ruling.PROVIDER)
    assert reconciled(*records, rulings=rulings) == reconciled(*records)


def test_what_the_winner_of_a_ruling_says_after_it_is_not_ruled_on() -> None:
    """A side that was believed once could else send more of the same."""
    before, after = START + timedelta(hours=2), START + timedelta(hours=2, seconds=1)
    rulings = {CaseKind.FIGURES_DIFFER: Ruling.PROVIDER}
    buyer_later = replace(served(B, 40), received_at=after)
    assert only(reconciled(replace(served(P, 100), received_at=before), buyer_later, rulings=rulings)).ruled
    late = only(reconciled(replace(served(P, 100), received_at=after), served(B, 40), rulings=rulings))
    assert (late.ruled, late.settled_millitokens) == (False, 40 * 4000)


@pytest.mark.parametrize("late", [P, B])
def test_without_a_winner_what_either_side_says_later_is_not_ruled_on(late: Side) -> None:
    """A side could else lower what was ruled to be the minimum, and nobody would look at it again."""
    times = {side: START + timedelta(hours=2, seconds=1 if side is late else 0) for side in (P, B)}
    told = [replace(served(P, 100), received_at=times[P]), replace(served(B, 1), received_at=times[B])]
    minimum = only(reconciled(*told, rulings={CaseKind.FIGURES_DIFFER: Ruling.MINIMUM}))
    assert (minimum.ruled, minimum.disputed_millitokens) == (False, 99 * 4000)
    alone = only(
        reconciled(told[0], complete=BUYER_COMPLETE, rulings={CaseKind.PROVIDER_ALONE: Ruling.BUYER}),
    )
    assert alone.ruled is (late is not P)


@pytest.mark.parametrize(
    ("records", "kind", "counting"),
    [
        ([refused(side=B)], CaseKind.REFUSAL_CLAIMED, {Ruling.BUYER}),
        ([served(P, 9), refused(side=B)], CaseKind.DELIVERY_DENIED, {Ruling.BUYER}),
        ([refused(), served(B, 9)], CaseKind.DELIVERY_DENIED, {Ruling.PROVIDER}),
    ],
)
def test_a_refusal_that_a_ruling_lets_stand_counts(
    records: list[UsageRecord], kind: CaseKind, counting: set[Ruling]
) -> None:
    free = only(reconciled(*records))
    assert free.counted_millitokens == 0
    assert (free.refusal is None) is (kind is CaseKind.DELIVERY_DENIED), "of a denied delivery no refusal stands"
    counts = {ruling: only(reconciled(*records, rulings={kind: ruling})).counted_millitokens for ruling in Ruling}
    stands = {ruling: only(reconciled(*records, rulings={kind: ruling})).refusal is not None for ruling in counting}
    assert all(stands.values())
    assert counts == {ruling: 700 if ruling in counting else 0 for ruling in Ruling}
