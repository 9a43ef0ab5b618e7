"""The Merkle tree of RFC 6962 (and RFC 9162): roots, inclusion and consistency proofs. Pure, SHA-256.

Leaves and nodes are hashed under different prefixes, so a node can never be passed off as a leaf.

A tree that grows is kept as its complete subtrees: node (level, position) is the hash over the 2^level leaves from leaf
position * 2^level on, and never changes once it is complete. Everything about a tree of any size follows from them
through a `Read`, in about log2(size) reads; which ones depends on the sizes alone, never on what is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()

Read = Callable[[int, int], bytes]
"""The hash of the complete subtree at (level, position)."""
Range = tuple[int, int]
"""Leaves (first, how many) that have a subtree of their own in some tree."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of one leaf's content."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root over leaf hashes, in their order; of no leaves, the hash of nothing."""
    level = list(leaf_hashes)
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        level = _level_above(level)
    return level[0]


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes that, with leaf `index` (from 0), give the root: nearest the leaf first.

    Raises `IndexError` if there is no such leaf.
    """
    if not 0 <= index < len(leaf_hashes):
        raise IndexError(f"There is no leaf {index} among {len(leaf_hashes)}.")
    level = list(leaf_hashes)
    proof = []
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            proof.append(level[sibling])
        level = _level_above(level)
        index >>= 1
    return proof


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `leaf` (a leaf hash) is leaf `index` of the tree of `size` leaves with this root. RFC 9162, 2.1.3.2."""
    if not 0 <= index < size:
        return False
    last = size - 1
    computed = leaf
    for sibling in proof:
        if last == 0:
            return False
        if index & 1 or index == last:
            computed = node_hash(sibling, computed)
            # The last node of a level without a sibling is carried up unchanged.
            while not index & 1 and index:
                index >>= 1
                last >>= 1
        else:
            computed = node_hash(computed, sibling)
        index >>= 1
        last >>= 1
    return last == 0 and computed == root


def root_of(size: int, read: Read) -> bytes:
    """The root of the tree's first `size` leaves."""
    return _root_of_range((0, size), read) if size else EMPTY_ROOT


def inclusion_path(index: int, size: int, read: Read) -> list[bytes]:
    """The proof of `inclusion_proof`, for leaf `index` (from 0) in the tree of the first `size` leaves.

    Raises `IndexError` if there is no such leaf.
    """
    return [_root_of_range(sibling, read) for sibling in sibling_ranges(index, size)]


def consistency_path(first: int, second: int, read: Read) -> list[bytes]:
    """The hashes that prove the tree of `first` leaves to be the beginning of that of `second`. RFC 9162, 2.1.4.1.

    Raises `IndexError` unless 0 < first <= second.
    """
    if not 0 < first <= second:
        raise IndexError(f"A tree of {first} leaves cannot be the beginning of one of {second}.")
    path: list[bytes] = []
    start, size, whole = 0, second, True
    waiting: list[Range] = []
    while first != size:
        half = _half(size)
        if first <= half:
            waiting.append((start + half, size - half))
            size = half
        else:
            waiting.append((start, half))
            start, size, first, whole = start + half, size - half, first - half, False
    if not whole:  # otherwise it is the first tree itself, whose root the verifier knows
        path.append(_root_of_range((start, size), read))
    path += [_root_of_range(sibling, read) for sibling in reversed(waiting)]
    return path


def verify_consistency(
    first_size: int, second_size: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the tree with the first root is the beginning of that with the second. RFC 9162, 2.1.4.2."""
    if not 0 < first_size <= second_size:
        return False
    if first_size == second_size:
        return not proof and first_root == second_root
    path = [first_root, *proof] if first_size & (first_size - 1) == 0 else list(proof)
    if not path:
        return False
    first, last = first_size - 1, second_size - 1
    while first & 1:
        first >>= 1
        last >>= 1
    first_computed = second_computed = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            first_computed = node_hash(sibling, first_computed)
            second_computed = node_hash(sibling, second_computed)
            while not first & 1 and first:
                first >>= 1
                last >>= 1
        else:
            second_computed = node_hash(second_computed, sibling)
        first >>= 1
        last >>= 1
    return last == 0 and first_computed == first_root and second_computed == second_root


def complete_nodes(old_size: int, new_leaf_hashes: Sequence[bytes], read: Read) -> list[tuple[int, int, bytes]]:
    """(level, position, hash) of every subtree of level 1 and up that new leaves after `old_size` others complete.

    `read` is asked for subtrees of the old leaves alone, at most one a level.
    """
    made: list[tuple[int, int, bytes]] = []
    level, start, fresh = 0, old_size, list(new_leaf_hashes)
    while fresh:
        if start & 1:
            start -= 1
            fresh.insert(0, read(level, start))
        level, start = level + 1, start >> 1
        fresh = [node_hash(fresh[i], fresh[i + 1]) for i in range(0, len(fresh) - 1, 2)]
        made += [(level, start + offset, node) for offset, node in enumerate(fresh)]
    return made


def sibling_ranges(index: int, size: int) -> list[Range]:
    """The leaves under each hash of an inclusion proof, nearest the leaf first; those before `index` stand left.

    Raises `IndexError` if there is no such leaf.
    """
    if not 0 <= index < size:
        raise IndexError(f"There is no leaf {index} among {size}.")
    ranges: list[Range] = []
    start = 0
    while size > 1:
        half = _half(size)
        if index < start + half:
            ranges.append((start + half, size - half))
            size = half
        else:
            ranges.append((start, half))
            start, size = start + half, size - half
    return ranges[::-1]


class RootFold:
    """The root over leaf hashes that come one by one, in memory that hardly grows with their number.

    `peaks` are the complete subtrees of what came so far, largest first, one for every bit of `size`: a fold that is
    given those of another goes on from there.
    """

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self.size = size
        self.peaks = list(peaks)

    def add(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Put one more leaf hash at the end; gives (level, position, hash) of the subtrees of level 1 and up that it
        completes."""
        made = []
        level, position, node = 0, self.size, leaf
        while position & 1:
            node = node_hash(self.peaks.pop(), node)
            level, position = level + 1, position >> 1
            made.append((level, position, node))
        self.peaks.append(node)
        self.size += 1
        return made

    def root(self) -> bytes:
        """The root over what came so far."""
        if not self.peaks:
            return EMPTY_ROOT
        *rest, root = self.peaks
        for peak in reversed(rest):
            root = node_hash(peak, root)
        return root


def _half(size: int) -> int:
    """The largest power of two below `size` (> 1): how many leaves the left half has."""
    return 1 << ((size - 1).bit_length() - 1)


def _root_of_range(leaves: Range, read: Read) -> bytes:
    start, size = leaves
    left: list[bytes] = []
    while size & (size - 1):
        half = _half(size)
        left.append(read(half.bit_length() - 1, start // half))
        start, size = start + half, size - half
    root = read(size.bit_length() - 1, start // size)
    while left:
        root = node_hash(left.pop(), root)
    return root


def _level_above(level: list[bytes]) -> list[bytes]:
    sha256 = hashlib.sha256  # `node_hash` written out: posting hashes thousands of nodes under the ledger's lock
    above = [sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
    if len(level) & 1:
        above.append(level[-1])
    return above
