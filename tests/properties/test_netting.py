"""Netting against a slow oracle, and what must hold for any lines."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from settlement.netting import PPM, net, ratio_ppm

LINES = st.lists(st.tuples(st.integers(1, 6), st.integers(-(10**15), 10**15)), max_size=60)


def balanced(lines: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """With the house's line, which stands against all others."""
    return [*lines, (0, -sum(micros for _, micros in lines))]


@given(LINES)
def test_the_nets_of_lines_that_sum_to_zero_sum_to_zero(lines: list[tuple[int, int]]) -> None:
    netting = net(balanced(lines))
    assert sum(party.net_micros for party in netting.parties) == 0
    assert netting.net_micros == -sum(party.net_micros for party in netting.parties if party.net_micros < 0)


@given(LINES)
def test_netting_is_the_sum_of_each_partys_lines(lines: list[tuple[int, int]]) -> None:
    oracle: Counter[int] = Counter()
    for party_id, micros in lines:
        oracle[party_id] += micros
    netting = net(lines)
    assert {party.party_id: party.net_micros for party in netting.parties} == {
        party_id: oracle[party_id] for party_id in {party_id for party_id, micros in lines if micros}
    }
    assert [party.party_id for party in netting.parties] == sorted(party.party_id for party in netting.parties)


@given(LINES)
def test_gross_and_net_bound_each_other(lines: list[tuple[int, int]]) -> None:
    netting = net(balanced(lines))
    assert 0 <= netting.net_micros <= netting.gross_micros
    assert netting.gross_micros == sum(micros for _, micros in balanced(lines) if micros > 0)
    assert 0 <= netting.ratio_ppm <= PPM


@given(LINES, st.randoms())
def test_order_and_sums_by_sign_change_nothing(lines: list[tuple[int, int]], dice: Random) -> None:
    shuffled = list(lines)
    dice.shuffle(shuffled)
    summed = [
        (party_id, sum(micros for owner, micros in lines if owner == party_id and (micros > 0) == positive))
        for party_id in {owner for owner, _ in lines}
        for positive in (True, False)
    ]
    assert net(lines) == net(shuffled) == net(summed)


def test_a_ratio_of_nothing_is_zero() -> None:
    assert (ratio_ppm(0, 0), ratio_ppm(1_000, 40), ratio_ppm(3, 1)) == (0, 960_000, 666_666)
