"""The ledger's log under random histories: trees that grow in any steps give one root and proofs that hold."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.merkle import (
    RootFold,
    complete_nodes,
    consistency_path,
    inclusion_path,
    leaf_hash,
    root_of,
    tree_root,
    verify_consistency,
    verify_inclusion,
)


class Log:
    """A log kept as the ledger keeps it: leaf hashes, and the complete subtrees of each growth."""

    def __init__(self) -> None:
        self.leaves: list[bytes] = []
        self.nodes: dict[tuple[int, int], bytes] = {}

    def grow(self, fresh: list[bytes]) -> None:
        made = complete_nodes(len(self.leaves), fresh, self.read)
        for level, position, node in made:
            assert (level, position) not in self.nodes
            self.nodes[level, position] = node
        self.leaves += fresh

    def read(self, level: int, position: int) -> bytes:
        return self.nodes[level, position] if level else self.leaves[position]


def leaves_from(source: random.Random, count: int) -> list[bytes]:
    return [leaf_hash(source.randbytes(8)) for _ in range(count)]


@given(st.lists(st.integers(0, 70), max_size=12), st.integers(0, 2**32))
def test_a_log_that_grows_in_any_steps_keeps_every_promise_it_made(steps: list[int], seed: int) -> None:
    source = random.Random(seed)
    log, heads = Log(), []
    for step in steps:
        log.grow(leaves_from(source, step))
        heads.append((len(log.leaves), tree_root(log.leaves)))
    size = len(log.leaves)
    assert root_of(size, log.read) == tree_root(log.leaves)
    for earlier, root in heads:
        assert root_of(earlier, log.read) == root
        if earlier:
            proof = consistency_path(earlier, size, log.read)
            assert verify_consistency(earlier, size, root, tree_root(log.leaves), proof)
    for index in source.sample(range(size), min(size, 5)):
        path = inclusion_path(index, size, log.read)
        assert verify_inclusion(log.leaves[index], index, size, path, tree_root(log.leaves))


@given(st.integers(2, 300), st.data())
def test_a_rewritten_leaf_is_found_by_the_consistency_proof_from_any_head_that_held_it(
    size: int, data: st.DataObject
) -> None:
    source = random.Random(size)
    index = data.draw(st.integers(0, size - 2), "which leaf is rewritten")
    saved = data.draw(st.integers(index + 1, size - 1), "size of the saved head")
    honest = leaves_from(source, size)
    rewritten = Log()
    rewritten.grow([*honest[:index], leaf_hash(b"rewritten"), *honest[index + 1 :]])
    proof = consistency_path(saved, size, rewritten.read)
    assert verify_consistency(saved, size, root_of(saved, rewritten.read), root_of(size, rewritten.read), proof)
    assert not verify_consistency(saved, size, tree_root(honest[:saved]), root_of(size, rewritten.read), proof)


@settings(max_examples=5)
@given(st.integers(1, 2**32))
@pytest.mark.timeout(120)
def test_large_logs_prove_random_leaves_and_heads(seed: int) -> None:
    source = random.Random(seed)
    log, fold = Log(), RootFold()
    while len(log.leaves) < 20_000:
        log.grow(leaves_from(source, source.randint(1, 6_000)))
    for leaf in log.leaves:
        fold.add(leaf)
    size, root = len(log.leaves), tree_root(log.leaves)
    assert root_of(size, log.read) == root == fold.root()
    for _ in range(200):
        index, earlier = source.randrange(size), source.randint(1, size)
        path = inclusion_path(index, size, log.read)
        assert verify_inclusion(log.leaves[index], index, size, path, root)
        assert not verify_inclusion(log.leaves[index - 1], index, size, path, root)
        proof = consistency_path(earlier, size, log.read)
        assert verify_consistency(earlier, size, root_of(earlier, log.read), root, proof)
