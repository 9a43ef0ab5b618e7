from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from settlement.calculation import MinuteUse
from settlement.metering.reconcile import (
    Reconciliation,
    RefusalReason,
    RequestVerdict,
    Side,
    Tolerance,
    UsageRecord,
    Verdict,
    reconcile,
)

START = datetime(2026, 12, 1, 14, tzinfo=UTC)
NO_TOLERANCE = Tolerance()


def record(
    side: Side,
    millitokens: int,
    request_id: str = "r1",
    *,
    refusal: RefusalReason | None = None,
    retry_of: str | None = None,
    seconds: int = 0,
) -> UsageRecord:
    return UsageRecord(side, request_id, START + timedelta(seconds=seconds), millitokens, refusal, retry_of)


def refused(
    request_id: str,
    *,
    side: Side = Side.PROVIDER,
    reason: RefusalReason = RefusalReason.CAPACITY,
    retry_of: str | None = None,
    seconds: int = 0,
    millitokens: int = 700,
) -> UsageRecord:
    return record(side, millitokens, request_id, refusal=reason, retry_of=retry_of, seconds=seconds)


def only(result: Reconciliation) -> RequestVerdict:
    (request,) = result.requests
    return request


@pytest.mark.parametrize(
    ("records", "verdict", "settled"),
    [
        ([record(Side.PROVIDER, 100), record(Side.BUYER, 100)], Verdict.MATCHED, 100),
        ([record(Side.PROVIDER, 1000), record(Side.BUYER, 996)], Verdict.WITHIN_TOLERANCE, 1000),
        ([record(Side.PROVIDER, 1000), record(Side.BUYER, 994)], Verdict.CONFLICT, 994),
        ([record(Side.PROVIDER, 900), record(Side.BUYER, 1000)], Verdict.CONFLICT, 900),
        ([record(Side.PROVIDER, 100)], Verdict.PROVIDER_ONLY, 100),
        ([record(Side.BUYER, 100)], Verdict.BUYER_ONLY, 100),
        ([record(Side.GATEWAY, 100)], Verdict.MATCHED, 100),
        ([record(Side.GATEWAY, 100), record(Side.PROVIDER, 100), record(Side.BUYER, 100)], Verdict.MATCHED, 100),
        ([record(Side.GATEWAY, 100), record(Side.PROVIDER, 150)], Verdict.OVERRULED, 100),
        ([refused("r1", side=Side.GATEWAY), record(Side.PROVIDER, 150)], Verdict.OVERRULED, 0),
        ([refused("r1"), record(Side.BUYER, 1)], Verdict.CONFLICT, 0),
        ([record(Side.PROVIDER, 100), refused("r1", side=Side.BUYER)], Verdict.CONFLICT, 0),
        ([refused("r1")], Verdict.REFUSED, 0),
        ([refused("r1"), refused("r1", side=Side.BUYER)], Verdict.REFUSED, 0),
        ([refused("r1", side=Side.BUYER)], Verdict.REFUSAL_CLAIMED, 0),
    ],
)
def test_verdicts(records: list[UsageRecord], verdict: Verdict, settled: int) -> None:
    request = only(reconcile(records, tolerance=Tolerance(relative_ppm=5_000)))
    assert (request.verdict, request.settled_millitokens) == (verdict, settled)


def test_a_difference_within_tolerance_is_kept_with_its_sign() -> None:
    records = [record(Side.PROVIDER, 1000), record(Side.BUYER, 1003)]
    request = only(reconcile(records, tolerance=Tolerance(absolute_millitokens=3)))
    assert (request.verdict, request.difference_millitokens) == (Verdict.WITHIN_TOLERANCE, -3)


def test_a_conflict_settles_what_nobody_disputes_and_names_the_rest() -> None:
    result = reconcile([record(Side.PROVIDER, 1000), record(Side.BUYER, 400)], tolerance=NO_TOLERANCE)
    assert only(result).disputed_millitokens == 600
    assert result.findings == result.requests
    assert result.settled_millitokens == 400


def test_a_meter_that_reports_a_request_twice_is_held_to_the_lesser_claim() -> None:
    records = [record(Side.PROVIDER, 900), record(Side.PROVIDER, 100), refused("r1")]
    assert only(reconcile(records, tolerance=NO_TOLERANCE)).settled_millitokens == 100


def test_use_is_summed_by_utc_minute_of_acceptance() -> None:
    shanghai = timezone(timedelta(hours=8))
    elsewhere = UsageRecord(Side.PROVIDER, "r3", START.astimezone(shanghai), 5)
    records = [record(Side.PROVIDER, 100), record(Side.PROVIDER, 30, "r2", seconds=61), elsewhere, refused("r4")]
    assert reconcile(records, tolerance=NO_TOLERANCE).minutes == (
        MinuteUse(START, 105, 700),
        MinuteUse(START + timedelta(minutes=1), 30, 0),
    )


@pytest.mark.parametrize(
    ("reason", "counts"),
    [
        (RefusalReason.CAPACITY, True),
        (RefusalReason.FAILURE, True),
        (RefusalReason.INVALID, False),
        (RefusalReason.UNAUTHORISED, False),
        (RefusalReason.POLICY, False),
        (RefusalReason.OVER_RATE, False),
    ],
)
def test_only_what_the_provider_answers_for_counts(reason: RefusalReason, counts: bool) -> None:
    request = only(reconcile([refused("r1", reason=reason)], tolerance=NO_TOLERANCE))
    assert request.refusal is reason
    assert request.counted_millitokens == (700 if counts else 0)


def test_a_refusal_that_the_buyer_alone_reports_is_a_finding_and_does_not_count() -> None:
    result = reconcile([refused("r1", side=Side.BUYER)], tolerance=NO_TOLERANCE)
    assert only(result).counted_millitokens == 0
    assert result.findings == result.requests


def counted(*records: UsageRecord) -> dict[str, int]:
    result = reconcile(records, tolerance=NO_TOLERANCE)
    return {r.request_id: r.counted_millitokens for r in result.requests if r.counted_millitokens}


def test_a_chain_of_retries_counts_once_at_its_first_refusal() -> None:
    first, second = refused("a"), refused("b", retry_of="a", seconds=1, millitokens=800)
    assert counted(first, second, refused("c", retry_of="b", seconds=2)) == {"a": 700}


def test_a_chain_that_was_delivered_in_the_end_does_not_count() -> None:
    assert counted(refused("a"), record(Side.PROVIDER, 900, "b", retry_of="a")) == {}
    assert counted(refused("a"), record(Side.BUYER, 900, "b", retry_of="a")) == {}


def test_a_chain_counts_from_its_first_refusal_of_a_counting_kind() -> None:
    over_rate = refused("a", reason=RefusalReason.OVER_RATE)
    assert counted(over_rate, refused("b", retry_of="a", seconds=1)) == {"b": 700}


def test_two_retries_of_a_request_nobody_reported_are_one_chain() -> None:
    assert counted(refused("b", retry_of="a"), refused("c", retry_of="a", seconds=1)) == {"b": 700}


def test_retries_in_a_circle_end() -> None:
    assert counted(refused("a", retry_of="b"), refused("b", retry_of="a", seconds=1)) == {"a": 700}
    assert counted(refused("a", retry_of="a")) == {"a": 700}


def test_meters_that_disagree_on_the_retried_request_are_a_finding() -> None:
    result = reconcile([refused("a", retry_of="x"), refused("a", side=Side.BUYER)], tolerance=NO_TOLERANCE)
    assert only(result).retries_disputed
    assert result.findings == result.requests
