from __future__ import annotations

import hashlib

import pytest

from ledger.merkle import EMPTY_ROOT, inclusion_proof, leaf_hash, node_hash, tree_root, verify_inclusion

# Leaves and roots of the tree that the certificate transparency test suites use.
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


@pytest.mark.parametrize(("size", "root"), ROOTS.items())
def test_roots_are_those_of_rfc_6962(size: int, root: str) -> None:
    assert tree_root(LEAVES[:size]).hex() == root


def test_no_leaves_hash_to_the_hash_of_nothing() -> None:
    assert tree_root([]) == EMPTY_ROOT == hashlib.sha256(b"").digest()


def split_as_defined(leaves: list[bytes]) -> bytes:
    """The recursive definition of RFC 6962, 2.1."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    return node_hash(split_as_defined(leaves[:k]), split_as_defined(leaves[k:]))


def test_every_leaf_of_every_tree_up_to_40_proves_its_inclusion_and_no_other() -> None:
    hashes = [leaf_hash(str(number).encode()) for number in range(40)]
    for size in range(1, 41):
        leaves = hashes[:size]
        root = tree_root(leaves)
        assert root == split_as_defined(leaves)
        for index in range(size):
            proof = inclusion_proof(leaves, index)
            assert verify_inclusion(leaves[index], index, size, proof, root)
            assert not verify_inclusion(leaf_hash(b"forged"), index, size, proof, root)
            assert not verify_inclusion(leaves[index], (index + 1) % size, size, proof, root) or size == 1
            assert not verify_inclusion(leaves[index], index, size, [*proof, root], root)
            if proof:
                assert not verify_inclusion(leaves[index], index, size, proof[:-1], root)


@pytest.mark.parametrize("index", [-1, 2])
def test_there_is_no_proof_for_a_leaf_that_is_not_there(index: int) -> None:
    with pytest.raises(IndexError):
        inclusion_proof(LEAVES[:2], index)
    assert not verify_inclusion(LEAVES[0], index, 2, [LEAVES[1]], tree_root(LEAVES[:2]))
