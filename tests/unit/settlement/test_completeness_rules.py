"""When a meter's word of a contract is complete."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime, timedelta

import pytest

from ledger.merkle import EMPTY_ROOT, leaf_hash, node_hash, tree_root
from settlement.metering.completeness_rules import (
    Completeness,
    CompletenessState,
    Said,
    judge_completeness,
    missing_sequences,
    watermark_root,
)

END = datetime(2026, 12, 1, 15, tzinfo=UTC)
IDS = ["b", "a", "é", "Z"]
ROOT = watermark_root(IDS)


def said(sequence: int, *, up_to: datetime = END, events: int = 4, root: bytes = ROOT) -> Said:
    return Said(sequence, up_to, events, root)


def judged(*marks: Said, received: int = 4, root: bytes = ROOT) -> Completeness:
    return judge_completeness(marks, delivery_end=END, received=received, root=root)


def test_the_root_is_over_ids_sorted_by_their_bytes() -> None:
    leaves = [hashlib.sha256(b"\x00" + text.encode()).digest() for text in ("Z", "a", "b", "é")]
    first, second = (hashlib.sha256(b"\x01" + left + right).digest() for left, right in (leaves[:2], leaves[2:]))
    assert watermark_root(IDS) == hashlib.sha256(b"\x01" + first + second).digest()
    # By code points U+FB01 comes after U+D7FF and before U+1F600, by UTF-16 units after it.
    assert watermark_root(["\U0001f600", "\ufb01"]) == node_hash(*map(leaf_hash, ("\ufb01".encode(), "😀".encode())))


def test_the_root_of_any_number_of_ids_is_that_of_the_tree() -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    assert watermark_root([]) == EMPTY_ROOT
    for count in (*range(1, 20), 4_095, 4_096, 4_097, 3 * 4_096, 3 * 4_096 + 1, 5 * 4_096 + 77):
        ids = [f"{chance.getrandbits(64):x}" for _ in range(count)]
        assert watermark_root(iter(ids)) == tree_root([leaf_hash(id.encode()) for id in sorted(ids)])


def test_everything_that_was_told_and_arrived_is_complete() -> None:
    assert judged(said(1)) == Completeness(CompletenessState.COMPLETE, 4, 4, END)
    assert judged(said(2), said(1, events=2, root=bytes(32))).state == CompletenessState.COMPLETE


def test_nothing_to_tell_can_be_complete_too() -> None:
    assert judged(said(1, events=0, root=EMPTY_ROOT), received=0, root=EMPTY_ROOT).state == CompletenessState.COMPLETE


def test_without_a_watermark_to_the_end_a_meter_is_open() -> None:
    assert judged(received=7) == Completeness(CompletenessState.OPEN, None, 7)
    early = END - timedelta(microseconds=1)
    assert judged(said(1, up_to=early)) == Completeness(CompletenessState.OPEN, 4, 4, early)
    # A gap is told before the end, too.
    assert judged(said(3, up_to=early)).missing_sequences == ((1, 2),)


@pytest.mark.parametrize(
    ("marks", "received", "root"),
    [
        ([said(1)], 3, ROOT),  # one was lost
        ([said(1)], 5, ROOT),  # one more came afterwards
        ([said(1)], 4, watermark_root(["b", "a", "é", "y"])),  # another one came
        ([said(1, events=5)], 4, ROOT),
        ([said(2)], 4, ROOT),  # the first watermark was lost
        ([said(1), said(3)], 4, ROOT),
        ([said(1), said(2, events=9)], 4, ROOT),  # the latest counts
    ],
)
def test_what_is_missing_makes_it_incomplete(marks: list[Said], received: int, root: bytes) -> None:
    assert judged(*marks, received=received, root=root).state == CompletenessState.INCOMPLETE


def test_gaps_are_told_as_ranges() -> None:
    marks = [said(sequence) for sequence in (9, 3, 4, 10**12)]
    assert missing_sequences(marks) == ((1, 2), (5, 8), (10, 10**12 - 1))
    assert missing_sequences([]) == ()
