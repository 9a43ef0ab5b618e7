"""Laws of the usage families: nothing is counted twice, nothing is lost, and no family passes for another."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from settlement.metering.buckets import ExtractionStatus, QuarantineReason, TokenBuckets
from settlement.metering.families import FAMILIES, extract
from settlement.metering.families.names import FIELDS
from tests.properties.usage_objects import ENCODERS, Stated, counts, paths, put, stated

# Our own names (`input`, `total`) are everyday words, which others may use for anything.
PROVIDERS = tuple(family for family in ENCODERS if family != "tokenbourse")
NO_COUNTS = (1.0, 0.5, 0.0, True, False, "5", "", [1], {"a": 1}, float("nan"), float("inf"), 1e300)
BAD_COUNTS: list[tuple[object, QuarantineReason]] = [
    *((value, QuarantineReason.INVALID_COUNT) for value in NO_COUNTS),
    *((value, QuarantineReason.NEGATIVE_COUNT) for value in (-1, -(2**70))),
    *((value, QuarantineReason.COUNT_OUT_OF_RANGE) for value in (2**53, 2**63, 2**64, 10**40)),
]
WITH_TOTAL = tuple(family for family, (_, _, total_name) in ENCODERS.items() if total_name)


def test_every_family_has_an_encoder() -> None:
    assert set(ENCODERS) == set(FAMILIES) == set(FIELDS)


@given(stated())
def test_what_adds_up_is_read_whole(it: Stated) -> None:
    extraction = extract(it.family, it.usage)
    assert extraction.reason is None, extraction.detail
    assert extraction.status is ExtractionStatus.COMPLETE
    assert extraction.buckets == it.buckets
    if it.total_name:
        assert sum(extraction.buckets.as_dict().values()) == it.usage[it.total_name]


@given(stated(), st.randoms(use_true_random=False))
def test_another_encoding_of_the_same_means_the_same(it: Stated, random: Any) -> None:
    members = list(it.usage.items())
    random.shuffle(members)
    again = dict(members) if it.family == "tokenbourse" else {"x_note": {"deep": [1, {}]}, **dict(members), "x": 1.5}
    # 0 may be left out or null, except where the family always states the count.
    for path in paths(it.usage):
        always = len(path) == 1 or path[0] == "billed_units"
        if not always and random.random() < 0.5 and _at(it.usage, path) == 0:
            again = put(again, path, None)
    assert extract(it.family, json.loads(json.dumps(again, ensure_ascii=True))) == extract(it.family, it.usage)


@given(stated(WITH_TOTAL), st.integers(1, 10**6))
def test_a_surplus_in_the_total_has_no_name(it: Stated, surplus: int) -> None:
    assert it.total_name
    extraction = extract(it.family, it.usage | {it.total_name: it.total + surplus})
    assert extraction.reason is QuarantineReason.UNEXPLAINED_TOKENS
    assert extraction.buckets.as_dict() == it.buckets.as_dict() | {"unexplained": surplus}
    assert extraction.status is ExtractionStatus.PARTIAL


@given(stated(WITH_TOTAL), st.integers(1, 10**6))
def test_a_total_below_its_parts_never_settles(it: Stated, deficit: int) -> None:
    assume(deficit <= it.total)
    assert it.total_name
    extraction = extract(it.family, it.usage | {it.total_name: it.total - deficit})
    assert extraction.reason is QuarantineReason.TOTAL_MISMATCH
    assert extraction.buckets == it.buckets


@given(stated(WITH_TOTAL), st.data(), counts)
def test_no_single_changed_count_moves_the_sum(it: Stated, data: st.DataObject, changed: int) -> None:
    path = data.draw(st.sampled_from(paths(it.usage)))
    extraction = extract(it.family, put(it.usage, path, changed))
    if extraction.reason is None:
        assert it.total_name
        assert sum(extraction.buckets.as_dict().values()) == it.total
        assert path != (it.total_name,) or changed == it.total


@given(stated(), st.data())
def test_a_value_that_is_no_count_is_found_wherever_it_stands(it: Stated, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(paths(it.usage)))
    bad, reason = data.draw(st.sampled_from(BAD_COUNTS))
    extraction = extract(it.family, put(it.usage, path, bad))
    assert extraction.reason is reason, extraction
    assert extraction.buckets == TokenBuckets()
    assert extraction.status is ExtractionStatus.FAILED
    assert extraction.detail


@given(stated(), st.data())
def test_a_lost_count_is_never_made_up(it: Stated, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(it.usage)))
    extraction = extract(it.family, {key: value for key, value in it.usage.items() if key != name})
    for bucket, tokens in extraction.buckets.as_dict().items():
        if bucket != "unexplained" and extraction.reason is not None:
            assert tokens <= it.total
    if extraction.reason is None and it.total_name:
        assert sum(extraction.buckets.as_dict().values()) == it.total


@given(stated(), st.sampled_from(sorted(FAMILIES)))
def test_a_family_read_as_another_is_found_or_means_the_same(it: Stated, family: str) -> None:
    extraction = extract(family, it.usage)
    if extraction.reason is None:
        assert extraction.buckets == it.buckets


@given(stated(), stated(PROVIDERS))
def test_two_families_in_one_object_never_pass_as_one(one: Stated, other: Stated) -> None:
    names = FIELDS[other.family] - FIELDS[one.family]
    added = {name: value for name, value in other.usage.items() if name in names and name not in one.usage}
    assume(added)
    extraction = extract(one.family, one.usage | added)
    if extraction.reason is None:
        # Then the other family's members state no tokens at all.
        assert extraction.buckets == one.buckets
        assert not any(_at(added, path) for path in paths(added))


_names = st.sampled_from([*sorted(name for fields in FIELDS.values() for name in fields), "modality", "ttl", "type"])
_leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | counts
_junk = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=6), max_leaves=20
)


@given(st.sampled_from(sorted(FAMILIES)), _junk)
def test_no_object_breaks_an_adapter(family: str, usage: Any) -> None:
    extraction = extract(family, usage)
    buckets = extraction.buckets.as_dict()
    assert all(type(tokens) is int and 0 <= tokens < 2**53 for tokens in buckets.values())
    assert (extraction.reason is None) == (extraction.status is ExtractionStatus.COMPLETE)
    if extraction.reason is None:
        assert buckets["unexplained"] == 0


def _at(usage: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        usage = usage[step]
    return usage
