"""When all that a meter has to say of a contract has arrived. Pure.

A meter numbers its watermarks of a contract 1, 2, 3 … and each says: all my events accepted before `up_to` were sent,
so many, with this Merkle root over their ids. A lost watermark shows as a gap, a lost event in count and root.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import islice

from msgspec import Struct

from ledger.merkle import RootFold, leaf_hash, node_hash, tree_root

_LEAVES_AT_ONCE = 4_096  # a power of two


class CompletenessState(StrEnum):
    COMPLETE = "complete"
    INCOMPLETE = "incomplete"  # the meter has finished, and what it says it sent is not what arrived
    OPEN = "open"  # the meter has not said that it has finished


class Said(Struct, frozen=True):
    """A watermark, without whose it is. The latest is the one with the highest sequence."""

    sequence: int
    up_to: datetime
    events: int
    root: bytes


class Completeness(Struct, frozen=True):
    """What a meter told of a contract, and what of it arrived.

    `told` and `received` count events accepted before `up_to`, quarantined ones and corrections among them; without any
    watermark `told` and `up_to` are None and `received` counts all. `missing_sequences` are the gaps between its
    watermarks, each as (first, last).
    """

    state: CompletenessState
    told: int | None
    received: int | None  # None where the reader may not know
    up_to: datetime | None = None
    missing_sequences: tuple[tuple[int, int], ...] = ()


def watermark_root(ids: Iterable[str]) -> bytes:
    """The root of a watermark: RFC 9162 over the event ids in UTF-8, sorted bytewise; each id is one leaf."""
    return sorted_root(sorted(id.encode() for id in ids))


def sorted_root(ids: Iterable[bytes]) -> bytes:
    """`watermark_root` of ids that come in order already, in memory that hardly grows with their number."""
    fold = RootFold()  # of subtrees of `_LEAVES_AT_ONCE` leaves each: several times faster than leaf by leaf
    root: bytes | None = None
    rest = iter(ids)
    while leaves := [leaf_hash(id) for id in islice(rest, _LEAVES_AT_ONCE)]:
        if len(leaves) == _LEAVES_AT_ONCE:
            fold.add(tree_root(leaves))
        else:
            root = tree_root(leaves)
    if root is None:
        return fold.root()
    for peak in reversed(fold.peaks):
        root = node_hash(peak, root)
    return root


def is_open(said: Sequence[Said], *, delivery_end: datetime) -> bool:
    """Whether no watermark covers the window to its end."""
    return all(each.up_to < delivery_end for each in said)


def missing_sequences(said: Sequence[Said]) -> tuple[tuple[int, int], ...]:
    """The gaps before and between watermarks, each as (first, last)."""
    gaps = []
    expected = 1
    for sequence in sorted(each.sequence for each in said):
        if sequence > expected:
            gaps.append((expected, sequence - 1))
        expected = sequence + 1
    return tuple(gaps)


def judge_completeness(said: Sequence[Said], *, delivery_end: datetime, received: int, root: bytes) -> Completeness:
    """How complete a meter's word of a contract is.

    `received` and `root` are of the events that arrived and were accepted before the latest watermark's `up_to`; the
    root is looked at only if nothing else is missing.
    """
    if not said:
        return Completeness(CompletenessState.OPEN, None, received)
    latest = max(said, key=lambda each: each.sequence)
    gaps = missing_sequences(said)
    if is_open(said, delivery_end=delivery_end):
        state = CompletenessState.OPEN
    elif gaps or latest.events != received or latest.root != root:
        state = CompletenessState.INCOMPLETE
    else:
        state = CompletenessState.COMPLETE
    return Completeness(state, latest.events, received, latest.up_to, gaps)
