"""The default waterfall, layer after layer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidAmount
from settlement.waterfall import Layer, Resource, Step, spread, walk

ALL = (
    Resource(Layer.CASH, "provider-1", 100),
    Resource(Layer.CONTRIBUTION, "member/provider-1", 50),
    Resource(Layer.CAPITAL, "capital", 40),
    Resource(Layer.FUND, "", 300),
    Resource(Layer.ASSESSMENT, "member/buyer-1", 30),
    Resource(Layer.ASSESSMENT, "member/buyer-2", 60),
    Resource(Layer.HAIRCUT, "", 10**9),
)


@pytest.mark.parametrize(
    ("debt", "borne"),
    [
        (0, []),
        (60, [(Layer.CASH, 60)]),
        (150, [(Layer.CASH, 100), (Layer.CONTRIBUTION, 50)]),
        (170, [(Layer.CASH, 100), (Layer.CONTRIBUTION, 50), (Layer.CAPITAL, 20)]),
        (500, [(Layer.CASH, 100), (Layer.CONTRIBUTION, 50), (Layer.CAPITAL, 40), (Layer.FUND, 300),
               (Layer.ASSESSMENT, 3), (Layer.ASSESSMENT, 7)]),
        (1_000, [(Layer.CASH, 100), (Layer.CONTRIBUTION, 50), (Layer.CAPITAL, 40), (Layer.FUND, 300),
                 (Layer.ASSESSMENT, 30), (Layer.ASSESSMENT, 60), (Layer.HAIRCUT, 420)]),
    ],
)  # fmt: skip
def test_each_layer_bears_what_the_ones_before_left(debt: int, borne: list[tuple[Layer, int]]) -> None:
    assert [(step.layer, step.micros) for step in walk(debt, ALL)] == borne
    assert walk(debt, reversed(ALL)) == walk(debt, ALL)


def test_what_nobody_can_bear_stays() -> None:
    assert walk(200, ALL[:2]) == (
        Step(Layer.CASH, "provider-1", 100),
        Step(Layer.CONTRIBUTION, "member/provider-1", 50),
    )


def test_amounts_below_zero_are_refused() -> None:
    with pytest.raises(InvalidAmount):
        walk(-1, ())
    with pytest.raises(InvalidAmount):
        walk(1, (Resource(Layer.FUND, "", -1),))


@given(st.integers(0, 10**15), st.lists(st.tuples(st.sampled_from(list(Layer)), st.integers(0, 10**14)), max_size=12))
def test_a_walk_bears_the_whole_debt_or_all_there_is(debt: int, offered: list[tuple[Layer, int]]) -> None:
    resources = [Resource(layer, f"owner-{place}", micros) for place, (layer, micros) in enumerate(offered)]
    steps = walk(debt, resources)
    assert sum(step.micros for step in steps) == min(debt, sum(micros for _, micros in offered))
    can = {(each.layer, each.owner): each.micros for each in resources}
    assert all(0 < step.micros <= can[step.layer, step.owner] for step in steps)
    order = [list(Layer).index(step.layer) for step in steps]
    assert order == sorted(order)
    last = steps[-1].layer if steps else None
    for each in resources:  # a layer is asked only when those before it are used up
        if last is not None and list(Layer).index(each.layer) < list(Layer).index(last) and each.micros:
            assert Step(each.layer, each.owner, each.micros) in steps


@given(st.integers(0, 10**15), st.lists(st.integers(0, 10**14), max_size=12))
def test_spreading_gives_nobody_more_than_its_size(micros: int, sizes: list[int]) -> None:
    parts = spread(micros, sizes)
    assert sum(parts) == min(micros, sum(sizes))
    assert all(0 <= part <= size for part, size in zip(parts, sizes, strict=True))
