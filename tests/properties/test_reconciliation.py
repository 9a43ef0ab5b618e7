"""Reconciliation over any records: the order does not matter, and nobody gets more than somebody claimed."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from settlement.metering.aggregates import minute_of
from settlement.metering.buckets import SETTLED_BUCKETS
from settlement.metering.reconcile import (
    CaseKind,
    Decided,
    Reconciliation,
    Ruling,
    Side,
    UsageRecord,
    Verdict,
    reconcile,
)
from settlement.metering.records import COUNTING_REASONS, NO_TOKENS, RecordKind, RefusalReason
from settlement.metering.tolerance import Tolerance
from tests.unit.settlement.usage_said import START, WEIGHTS, weighed

REQUEST_IDS = ["a", "b", "c", "d", "e"]


@st.composite
def records(draw: st.DrawFn, kinds: tuple[RecordKind, ...] = tuple(RecordKind)) -> UsageRecord:
    kind = draw(st.sampled_from(kinds))
    side = draw(st.sampled_from(Side))
    received_at = START + timedelta(seconds=draw(st.sampled_from([200, 400])))
    at = START + timedelta(seconds=draw(st.integers(0, 200)))
    counts = tuple(draw(st.lists(st.integers(0, 50), min_size=len(NO_TOKENS), max_size=len(NO_TOKENS))))
    if kind is RecordKind.AGGREGATE:
        requests, meter = draw(st.integers(1, 9)), draw(st.integers(1, 2))
        return UsageRecord(
            side,
            kind,
            "",
            minute_of(at),
            counts,
            weighed(counts),
            requests=requests,
            meter=meter,
            received_at=received_at,
        )
    request_id, retry_of = draw(st.sampled_from(REQUEST_IDS)), draw(st.none() | st.sampled_from(REQUEST_IDS))
    if kind is RecordKind.STARTED:
        return UsageRecord(side, kind, request_id, at)
    if kind is RecordKind.REFUSED:
        reason = draw(st.sampled_from(RefusalReason))
        return UsageRecord(
            side, kind, request_id, at, NO_TOKENS, draw(st.integers(0, 50)), reason, retry_of, received_at=received_at
        )
    return UsageRecord(side, kind, request_id, at, counts, weighed(counts), None, retry_of, received_at=received_at)


TOLERANCES = st.builds(Tolerance, st.integers(0, 9), st.integers(0, 200_000), st.booleans())
COMPLETE = st.frozensets(st.sampled_from(Side))
DECIDED = st.sampled_from(Ruling).map(lambda ruling: Decided(ruling, START + timedelta(seconds=300)))
RULINGS = st.dictionaries(st.sampled_from(CaseKind), DECIDED)
SINGLES = st.lists(records((RecordKind.STARTED, RecordKind.COMPLETED, RecordKind.REFUSED)), max_size=14)
ANY = st.lists(records(), max_size=14)


def reconciled(
    given_records: list[UsageRecord],
    tolerance: Tolerance,
    complete: frozenset[Side],
    rulings: dict[CaseKind, Decided] | None = None,
) -> Reconciliation:
    return reconcile(given_records, weights=WEIGHTS, tolerance=tolerance, complete=complete, rulings=rulings or {})


@given(ANY, TOLERANCES, COMPLETE, RULINGS, st.randoms(use_true_random=False))
def test_the_order_of_records_does_not_matter(
    said: list[UsageRecord],
    tolerance: Tolerance,
    complete: frozenset[Side],
    rulings: dict[CaseKind, Decided],
    shuffler: random.Random,
) -> None:
    shuffled = list(said)
    shuffler.shuffle(shuffled)
    assert reconciled(said, tolerance, complete, rulings) == reconciled(shuffled, tolerance, complete, rulings)


@given(SINGLES, TOLERANCES, COMPLETE, RULINGS)
def test_what_settles_is_one_whole_record_that_somebody_sent(
    said: list[UsageRecord], tolerance: Tolerance, complete: frozenset[Side], rulings: dict[CaseKind, Decided]
) -> None:
    result = reconciled(said, tolerance, complete, rulings)
    assert {request.request_id for request in result.requests} == {record.request_id for record in said}
    claims: dict[str, set[int]] = defaultdict(lambda: {0})
    for record in said:
        claims[record.request_id].add(record.delivered_millitokens)
    for request in result.requests:
        assert request.settled_millitokens in claims[request.request_id]
        assert request.counted_millitokens == 0 or request.settled_millitokens == 0


@given(SINGLES, TOLERANCES, COMPLETE)
def test_without_a_gateway_and_a_ruling_no_side_that_spoke_settles_above_its_word_and_tolerance(
    said: list[UsageRecord], tolerance: Tolerance, complete: frozenset[Side]
) -> None:
    for request in reconciled(said, tolerance, complete).requests:
        if request.gateway_millitokens is not None:
            continue
        if request.provider_millitokens is not None:
            assert request.settled_millitokens <= request.provider_millitokens
        if request.buyer_millitokens is not None and request.verdict is not Verdict.WITHIN_TOLERANCE:
            assert request.settled_millitokens <= request.buyer_millitokens
        if tolerance.zero:
            assert request.verdict is not Verdict.WITHIN_TOLERANCE


@given(SINGLES, TOLERANCES, COMPLETE)
def test_without_a_ruling_only_what_a_provider_or_gateway_says_was_refused_counts(
    said: list[UsageRecord], tolerance: Tolerance, complete: frozenset[Side]
) -> None:
    for request in reconciled(said, tolerance, complete).requests:
        if request.counted_millitokens:
            assert any(
                record.refusal in COUNTING_REASONS and record.side is not Side.BUYER
                for record in said
                if record.request_id == request.request_id
            )


@given(ANY, TOLERANCES, COMPLETE, RULINGS)
def test_sums_are_those_of_the_requests(
    said: list[UsageRecord], tolerance: Tolerance, complete: frozenset[Side], rulings: dict[CaseKind, Decided]
) -> None:
    result = reconciled(said, tolerance, complete, rulings)
    assert sum(use.delivered_millitokens for use in result.minutes) == result.settled_millitokens
    assert sum(use.refused_millitokens for use in result.minutes) == sum(r.counted_millitokens for r in result.requests)
    weighted = sum(
        totals.settled * WEIGHTS.of(bucket) for bucket, totals in zip(SETTLED_BUCKETS, result.buckets, strict=True)
    )
    assert weighted == result.settled_millitokens
    assert sum(result.verdicts.values()) == len(result.requests)
    for found in result.discrepancies:
        assert found.requests == sum(1 for request in result.requests if found.kind in request.kinds) > 0


@given(ANY, TOLERANCES, COMPLETE)
def test_a_record_told_twice_settles_and_counts_once(
    said: list[UsageRecord], tolerance: Tolerance, complete: frozenset[Side]
) -> None:
    once, twice = reconciled(said, tolerance, complete), reconciled(said + said, tolerance, complete)
    assert (once.minutes, once.buckets, once.bias, once.verdicts) == (
        twice.minutes,
        twice.buckets,
        twice.bias,
        twice.verdicts,
    )


@given(st.lists(records((RecordKind.COMPLETED,)), max_size=14), TOLERANCES)
def test_a_minute_summed_by_both_sides_settles_like_its_sum(said: list[UsageRecord], tolerance: Tolerance) -> None:
    """A provider that sends sums instead of its records is held against the same records of the buyer."""
    unique = {(record.side, record.request_id): record for record in said if record.side is not Side.GATEWAY}
    provider = [record for record in unique.values() if record.side is Side.PROVIDER]
    buyer = [record for record in unique.values() if record.side is Side.BUYER]
    sums: dict[object, UsageRecord] = {}
    for record in provider:
        minute = minute_of(record.accepted_at)
        before = sums.get(minute)
        counts = record.tokens if before is None else tuple(map(sum, zip(before.tokens, record.tokens, strict=True)))
        requests = 1 if before is None else before.requests + 1
        sums[minute] = UsageRecord(
            Side.PROVIDER, RecordKind.AGGREGATE, "", minute, counts, weighed(counts), requests=requests
        )
    summed = reconciled([*sums.values(), *buyer], tolerance, frozenset())
    single = reconciled([*provider, *buyer], tolerance, frozenset())
    assert [each.provider for each in summed.buckets] == [each.provider for each in single.buckets]
    assert [each.buyer for each in summed.buckets] == [each.buyer for each in single.buckets]
    assert len(summed.requests) == len(sums) + sum(minute_of(record.accepted_at) not in sums for record in buyer)
