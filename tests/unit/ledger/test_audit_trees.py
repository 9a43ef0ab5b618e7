"""The audit's own trees against `ledger.merkle`, and the ranges its work is cut into."""

from __future__ import annotations

import hashlib
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.audit.checks.leaves import root_over
from ledger.audit.layout import HIGHEST, LOWEST, Span, cut_to_size
from ledger.merkle import RootFold, complete_nodes, tree_root

LEAVES = [hashlib.sha256(str(number).encode()).digest() for number in range(300)]


@pytest.mark.parametrize("size", [*range(70), 127, 128, 129, 300])
def test_roots_over_joined_hashes_are_those_of_the_tree(size: int) -> None:
    assert root_over(b"".join(LEAVES[:size])) == tree_root(LEAVES[:size])


def test_a_fold_gives_the_root_and_the_nodes_of_every_size() -> None:
    fold, made = RootFold(), []
    assert fold.root() == tree_root([])
    for size, leaf in enumerate(LEAVES, start=1):
        made += fold.add(leaf)
        assert (fold.size, fold.root()) == (size, tree_root(LEAVES[:size]))
        assert len(fold.peaks) == size.bit_count()
    assert sorted(made) == sorted(complete_nodes(0, LEAVES, lambda level, position: b""))


def test_a_fold_goes_on_from_the_peaks_of_another() -> None:
    dice = random.Random(7)
    for _ in range(20):
        half, whole = RootFold(), RootFold()
        stop = dice.randrange(300)
        for leaf in LEAVES[:stop]:
            half.add(leaf)
            whole.add(leaf)
        later = RootFold(half.size, list(half.peaks))
        for leaf in LEAVES[stop:]:
            assert later.add(leaf) == whole.add(leaf)
        assert later.root() == whole.root() == tree_root(LEAVES)


@given(
    weights=st.lists(st.integers(0, 50), max_size=60),
    gaps=st.integers(1, 9),
    size=st.integers(1, 100),
    after=st.sampled_from([0, 5, 10**12]),
)
def test_ranges_leave_no_number_out_and_none_twice(weights: list[int], gaps: int, size: int, after: int) -> None:
    stretches = [(after + gaps * number, weight) for number, weight in enumerate(weights, start=1)]
    spans = cut_to_size(stretches, size, after=after)
    assert spans[0].first == (LOWEST if after == 0 else after + 1)
    assert spans[-1].last == HIGHEST
    assert all(later.first == earlier.last + 1 for earlier, later in pairwise(spans))
    assert sum(span.rows for span in spans) == sum(weights)
    assert all(size <= span.rows < size + 50 for span in spans[:-1])
    assert spans[-1].rows < size or len(spans) == 1 or spans[-1].rows == 0


def test_an_empty_journal_is_one_range() -> None:
    assert cut_to_size([], 10) == (Span(LOWEST, HIGHEST, 0),)
