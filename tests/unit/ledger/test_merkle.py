from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest

from ledger.merkle import (
    EMPTY_ROOT,
    RootFold,
    complete_nodes,
    consistency_path,
    inclusion_path,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    tree_root,
    verify_consistency,
    verify_inclusion,
)

# Leaves, roots and proofs of the tree that the certificate transparency test suites use.
LEAVES = [
    leaf_hash(bytes.fromhex(text))
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
SIZES = 130
HASHES = [leaf_hash(str(number).encode()) for number in range(SIZES)]


class Nodes:
    """Complete subtrees of a tree by their definition; remembers what was asked for."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaves = leaves
        self.reads: list[tuple[int, int]] = []

    def read(self, level: int, position: int) -> bytes:
        self.reads.append((level, position))
        leaves = self.leaves[position << level : (position + 1) << level]
        assert len(leaves) == 1 << level, "the subtree is not complete"
        return root_as_defined(leaves)


def root_as_defined(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, over leaf hashes."""
    if len(leaves) == 1:
        return leaves[0]
    k = half_as_defined(len(leaves))
    return node_hash(root_as_defined(leaves[:k]), root_as_defined(leaves[k:]))


def inclusion_as_defined(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return []
    k = half_as_defined(len(leaves))
    if index < k:
        return [*inclusion_as_defined(index, leaves[:k]), root_as_defined(leaves[k:])]
    return [*inclusion_as_defined(index - k, leaves[k:]), root_as_defined(leaves[:k])]


def consistency_as_defined(first: int, leaves: Sequence[bytes], known: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962, 2.1.2."""
    if first == len(leaves):
        return [] if known else [root_as_defined(leaves)]
    k = half_as_defined(len(leaves))
    if first <= k:
        return [*consistency_as_defined(first, leaves[:k], known), root_as_defined(leaves[k:])]
    return [*consistency_as_defined(first - k, leaves[k:], known=False), root_as_defined(leaves[:k])]


def half_as_defined(size: int) -> int:
    k = 1
    while k * 2 < size:
        k *= 2
    return k


@pytest.mark.parametrize(("size", "root"), ROOTS.items())
def test_roots_are_those_of_rfc_6962(size: int, root: str) -> None:
    assert tree_root(LEAVES[:size]).hex() == root


@pytest.mark.parametrize("sizes", CONSISTENCY)
def test_consistency_proofs_are_those_of_the_certificate_transparency_suites(sizes: tuple[int, int]) -> None:
    proof = consistency_path(*sizes, Nodes(LEAVES).read)
    assert [node.hex() for node in proof] == CONSISTENCY[sizes]


def test_no_leaves_hash_to_the_hash_of_nothing() -> None:
    assert tree_root([]) == root_of(0, Nodes([]).read) == RootFold().root() == EMPTY_ROOT
    assert hashlib.sha256(b"").digest() == EMPTY_ROOT


def test_roots_of_every_tree_up_to_130_are_as_defined_however_they_are_made() -> None:
    fold = RootFold()
    for size in range(1, SIZES + 1):
        leaves, nodes = HASHES[:size], Nodes(HASHES)
        fold.add(leaves[-1])
        assert tree_root(leaves) == root_of(size, nodes.read) == fold.root() == root_as_defined(leaves)
        assert fold.size == size
        assert len(nodes.reads) <= size.bit_length()


def test_every_leaf_of_every_tree_up_to_130_proves_its_inclusion() -> None:
    for size in range(1, SIZES + 1):
        leaves = HASHES[:size]
        root = tree_root(leaves)
        for index in range(size):
            proof = inclusion_proof(leaves, index)
            assert proof == inclusion_as_defined(index, leaves)
            assert proof == inclusion_path(index, size, Nodes(HASHES).read)
            assert verify_inclusion(leaves[index], index, size, proof, root)


def test_a_forged_leaf_place_or_proof_of_any_tree_up_to_40_is_refused() -> None:
    for size in range(1, 41):
        leaves = HASHES[:size]
        root = tree_root(leaves)
        for index in range(size):
            proof = inclusion_proof(leaves, index)
            assert not verify_inclusion(leaf_hash(b"forged"), index, size, proof, root)
            assert not verify_inclusion(leaves[index], (index + 1) % size, size, proof, root) or size == 1
            assert not verify_inclusion(leaves[index], index, size, [*proof, root], root)
            assert not verify_inclusion(leaves[index], index, size, proof, EMPTY_ROOT)
            for place in range(len(proof)):
                assert not verify_inclusion(leaves[index], index, size, proof[:place] + proof[place + 1 :], root)
                assert not verify_inclusion(leaves[index], index, size, forged(proof, place), root)


def test_every_tree_up_to_130_proves_to_be_the_beginning_of_every_larger_one() -> None:
    roots = [b"", *(tree_root(HASHES[:size]) for size in range(1, SIZES + 1))]
    for second in range(1, SIZES + 1):
        for first in range(1, second + 1):
            nodes = Nodes(HASHES)
            proof = consistency_path(first, second, nodes.read)
            assert proof == consistency_as_defined(first, HASHES[:second])
            assert verify_consistency(first, second, roots[first], roots[second], proof)
            assert len(nodes.reads) <= 2 * second.bit_length()


def test_a_forged_root_size_or_consistency_proof_of_any_tree_up_to_24_is_refused() -> None:
    roots = [EMPTY_ROOT, *(tree_root(HASHES[:size]) for size in range(1, 25))]
    for second in range(1, 25):
        for first in range(1, second + 1):
            proof = consistency_path(first, second, Nodes(HASHES).read)
            for other in range(25):
                if other != first:
                    assert not verify_consistency(first, second, roots[other], roots[second], proof)
                if other != second:
                    assert not verify_consistency(first, second, roots[first], roots[other], proof)
            assert not verify_consistency(first, second, roots[first], roots[second], [*proof, EMPTY_ROOT])
            for place in range(len(proof)):
                assert not verify_consistency(
                    first, second, roots[first], roots[second], proof[:place] + proof[place + 1 :]
                )
                assert not verify_consistency(first, second, roots[first], roots[second], forged(proof, place))


def forged(proof: list[bytes], place: int) -> list[bytes]:
    """The proof with one bit of one hash turned."""
    return [*proof[:place], bytes([proof[place][0] ^ 1]) + proof[place][1:], *proof[place + 1 :]]


@pytest.mark.parametrize("sizes", [(0, 1), (0, 0), (2, 1), (-1, 1)])
def test_there_is_no_consistency_proof_from_nothing_or_backwards(sizes: tuple[int, int]) -> None:
    with pytest.raises(IndexError):
        consistency_path(*sizes, Nodes(LEAVES).read)
    assert not verify_consistency(*sizes, EMPTY_ROOT, LEAVES[0], [])
    assert not verify_consistency(*sizes, EMPTY_ROOT, EMPTY_ROOT, [])


@pytest.mark.parametrize("index", [-1, 2])
def test_there_is_no_proof_for_a_leaf_that_is_not_there(index: int) -> None:
    with pytest.raises(IndexError):
        inclusion_proof(LEAVES[:2], index)
    with pytest.raises(IndexError):
        inclusion_path(index, 2, Nodes(LEAVES).read)
    assert not verify_inclusion(LEAVES[0], index, 2, [LEAVES[1]], tree_root(LEAVES[:2]))


def test_new_leaves_complete_exactly_the_subtrees_they_end_and_read_one_old_one_a_level_at_most() -> None:
    for old in range(70):
        for new in (0, 1, 2, 3, 7, 8, 33, 60):
            nodes = Nodes(HASHES[:old])
            made = complete_nodes(old, HASHES[old : old + new], nodes.read)
            expected = {
                (level, position): root_as_defined(HASHES[position << level : (position + 1) << level])
                for level in range(1, 8)
                for position in range(SIZES >> level)
                if old < (position + 1) << level <= old + new
            }
            assert {(level, position): node for level, position, node in made} == expected
            assert len(made) == len(expected)
            assert len({level for level, _ in nodes.reads}) == len(nodes.reads)
