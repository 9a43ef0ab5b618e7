from __future__ import annotations

from datetime import timedelta, timezone

import pytest
from msgspec.structs import replace

from settlement.calculation import MinuteUse
from settlement.metering.buckets import SETTLED_BUCKETS, Bucket
from settlement.metering.reconcile import (
    CaseKind,
    RefusalReason,
    Ruling,
    Side,
    Tolerance,
    UsageRecord,
    Verdict,
)
from settlement.rules import TOLERANCE, ZERO
from tests.unit.settlement.usage_said import (
    START,
    counted,
    only,
    reconciled,
    refused,
    served,
    started,
    tokens,
    weighed,
)

NO_TOLERANCE = Tolerance()
P, B, G = Side.PROVIDER, Side.BUYER, Side.GATEWAY
BUYER_COMPLETE = frozenset({B})


@pytest.mark.parametrize(
    ("records", "verdict", "settled_output"),
    [
        ([served(P, 100), served(B, 100)], Verdict.MATCHED, 100),
        ([served(P, 1000), served(B, 995)], Verdict.WITHIN_TOLERANCE, 1000),
        ([served(P, 995), served(B, 999)], Verdict.WITHIN_TOLERANCE, 995),
        ([served(P, 10), served(B, 9)], Verdict.WITHIN_TOLERANCE, 10),
        ([served(P, 1000), served(B, 994)], Verdict.CONFLICT, 994),
        ([served(P, 900), served(B, 1000)], Verdict.CONFLICT, 900),
        ([served(P, 100)], Verdict.PROVIDER_ONLY, 100),
        ([served(B, 100)], Verdict.BUYER_ONLY, 100),
        ([served(G, 100)], Verdict.MATCHED, 100),
        ([served(G, 100), served(P, 100), served(B, 100)], Verdict.MATCHED, 100),
        ([served(G, 100), served(P, 150)], Verdict.OVERRULED, 100),
        ([served(G, 100), served(P, 100), served(B, 99)], Verdict.OVERRULED, 100),
        ([refused(side=G), served(P, 150)], Verdict.OVERRULED, 0),
        ([refused(), served(B, 1)], Verdict.CONFLICT, 0),
        ([served(P, 100), refused(side=B)], Verdict.CONFLICT, 0),
        ([refused()], Verdict.REFUSED, 0),
        ([refused(), refused(side=B)], Verdict.REFUSED, 0),
        ([refused(side=B)], Verdict.REFUSAL_CLAIMED, 0),
        ([started(P)], Verdict.LOST_END, 0),
        ([started(P), started(B)], Verdict.LOST_END, 0),
        ([started(P), served(B, 7)], Verdict.BUYER_ONLY, 7),
    ],
)
def test_verdicts(records: list[UsageRecord], verdict: Verdict, settled_output: int) -> None:
    result = reconciled(*records)
    request = only(result)
    assert (request.verdict, request.settled_millitokens) == (verdict, settled_output * 4000)
    assert tuple(each.settled for each in result.buckets) == tokens(output_visible=settled_output)
    assert result.verdicts == {verdict: 1}


def _in_bucket(bucket: Bucket, side: Side, count: int) -> UsageRecord:
    return replace(served(side, 0), tokens=tokens(**{bucket.value: count}))


@pytest.mark.parametrize("bucket", SETTLED_BUCKETS)
@pytest.mark.parametrize("sign", [1, -1])
def test_only_what_both_count_has_a_tolerance(bucket: Bucket, sign: int) -> None:
    at = _in_bucket(bucket, P, 2_000)
    above, further = (_in_bucket(bucket, B, 2_000 + sign * off) for off in (10, 11))
    tolerated = bucket in (Bucket.INPUT_UNCACHED, Bucket.INPUT_TOOL, Bucket.OUTPUT_VISIBLE)
    assert (only(reconciled(at, above)).verdict is Verdict.WITHIN_TOLERANCE) is tolerated
    assert only(reconciled(at, further)).verdict is Verdict.CONFLICT
    assert only(reconciled(at, above, tolerance=ZERO)).verdict is Verdict.CONFLICT


def test_a_difference_in_one_bucket_is_not_made_up_for_by_another() -> None:
    """The same weighted sum, but the answer is said to have been thought instead of written."""
    provider, buyer = served(P, 50, output_reasoning=50), served(B, 100)
    assert provider.millitokens == buyer.millitokens
    request = only(reconciled(provider, buyer))
    assert (request.verdict, request.kind) == (Verdict.CONFLICT, CaseKind.FIGURES_DIFFER)


def test_the_undisputed_minimum_is_a_whole_record_and_not_the_least_of_each_bucket() -> None:
    provider, buyer = served(P, 100, input_uncached=900), served(B, 120, input_uncached=500)
    result = reconciled(provider, buyer)
    assert only(result).settled_millitokens == buyer.millitokens
    assert tuple(each.settled for each in result.buckets) == buyer.tokens
    assert tuple(each.provider for each in result.buckets) == provider.tokens


def test_a_conflict_settles_what_nobody_disputes_and_names_the_rest() -> None:
    result = reconciled(served(P, 1000), served(B, 400), tolerance=NO_TOLERANCE)
    assert only(result).disputed_millitokens == 600 * 4000
    assert result.findings == result.requests
    assert result.settled_millitokens == 400 * 4000


def test_a_side_that_reports_a_delivery_twice_is_held_to_the_lesser_claim_and_told_so() -> None:
    result = reconciled(served(P, 900), served(P, 100), refused(), served(B, 100))
    assert only(result).settled_millitokens == 100 * 4000
    assert only(result).repeated_by == (P,)
    assert [each.kind for each in result.discrepancies] == [CaseKind.REPEATED_REQUEST]
    assert result.findings == result.requests


def test_a_request_that_was_refused_and_then_served_under_its_own_id_is_no_repetition() -> None:
    result = reconciled(refused(), served(P, 100, seconds=3), served(B, 100, seconds=3))
    assert only(result).verdict is Verdict.MATCHED
    assert result.discrepancies == () == result.findings


# One side alone


def test_silence_of_a_buyer_without_a_complete_watermark_says_nothing() -> None:
    assert only(reconciled(served(P, 5))).verdict is Verdict.PROVIDER_ONLY
    assert only(reconciled(served(P, 5), complete=frozenset({P, G}))).verdict is Verdict.PROVIDER_ONLY


def test_a_provider_alone_against_a_complete_buyer_settles_nothing() -> None:
    result = reconciled(served(P, 5), complete=BUYER_COMPLETE)
    request = only(result)
    assert (request.verdict, request.settled_millitokens, request.kind) == (
        Verdict.UNWITNESSED,
        0,
        CaseKind.PROVIDER_ALONE,
    )
    assert request.disputed_millitokens == 20_000
    assert result.findings == result.requests


@pytest.mark.parametrize("witness", [started(B), started(G)])
def test_a_start_seen_by_another_witnesses_the_provider(witness: UsageRecord) -> None:
    request = only(reconciled(served(P, 5), witness, complete=BUYER_COMPLETE))
    assert (request.verdict, request.settled_millitokens) == (Verdict.PROVIDER_ONLY, 20_000)
    assert request.lost_by == (witness.side,)


def test_a_start_by_the_provider_itself_witnesses_nothing() -> None:
    assert only(reconciled(started(P), served(P, 5), complete=BUYER_COMPLETE)).verdict is Verdict.UNWITNESSED


def test_lost_ends_are_counted_for_the_side_that_lost_them() -> None:
    result = reconciled(
        *(started(B, "a"), served(P, 1, "a")),
        *(started(P, "b"), served(B, 1, "b")),
        *(started(P, "c"), started(B, "c"), served(P, 1, "c"), served(B, 1, "c")),
        *(started(B, "d"), refused("d")),
        started(B, "e"),
    )
    assert result.lost_ends == {P: 1, B: 2}
    assert result.verdicts[Verdict.LOST_END] == 1
    assert [(each.kind, each.requests) for each in result.discrepancies] == [(CaseKind.LOST_END, 1)]


# Minutes and refusals


def test_use_is_summed_by_utc_minute_of_acceptance() -> None:
    elsewhere = replace(served(P, 5, "r3"), accepted_at=START.astimezone(timezone(timedelta(hours=8))))
    records = [served(P, 100), served(P, 30, "r2", seconds=61), elsewhere, refused("r4")]
    assert reconciled(*records).minutes == (
        MinuteUse(START, 105 * 4000, 700),
        MinuteUse(START + timedelta(minutes=1), 30 * 4000, 0),
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
    request = only(reconciled(refused("r1", reason=reason)))
    assert request.refusal is reason
    assert request.counted_millitokens == (700 if counts else 0)


def test_a_refusal_that_the_buyer_alone_reports_is_a_finding_and_does_not_count() -> None:
    result = reconciled(refused("r1", side=B))
    assert only(result).counted_millitokens == 0
    assert result.findings == result.requests


def test_a_chain_of_retries_counts_once_at_its_first_refusal() -> None:
    first, second = refused("a"), refused("b", retry_of="a", seconds=1, millitokens=800)
    assert counted(first, second, refused("c", retry_of="b", seconds=2)) == {"a": 700}


def test_a_chain_that_was_delivered_in_the_end_does_not_count() -> None:
    assert counted(refused("a"), served(P, 900, "b", retry_of="a")) == {}
    assert counted(refused("a"), served(B, 900, "b", retry_of="a")) == {}


def test_deliveries_that_the_provider_alone_reports_cancel_no_refusal_that_both_do() -> None:
    """Made-up requests that name refused ones would else wipe out what counts against it."""
    both = [refused("a"), refused("a", side=B)]
    assert counted(*both, served(P, 0, "z", retry_of="a", seconds=1)) == {"a": 700}
    assert counted(*both, served(P, 0, "z", retry_of="a"), started(B, "z")) == {}, "the buyer saw it start"
    assert counted(*both, served(P, 0, "z", retry_of="a"), served(B, 0, "z")) == {}
    assert counted(refused("a"), served(P, 0, "z", retry_of="a")) == {}, "of its own word the provider may take back"


@pytest.mark.parametrize(
    "provider", [refused(reason=RefusalReason.POLICY), refused(millitokens=1)], ids=["reason", "size"]
)
def test_a_refusal_that_the_buyer_says_counts_for_more_is_a_case_and_the_lesser_stands(provider: UsageRecord) -> None:
    told = [provider, refused(side=B, millitokens=900)]
    lesser = 1 if provider.refusal is RefusalReason.CAPACITY else 0
    free = only(reconciled(*told))
    assert (free.verdict, free.kind, free.counted_millitokens) == (
        Verdict.REFUSAL_CLAIMED,
        CaseKind.REFUSAL_CLAIMED,
        lesser,
    )
    ruled = {
        ruling: only(reconciled(*told, rulings={CaseKind.REFUSAL_CLAIMED: ruling})).counted_millitokens
        for ruling in Ruling
    }
    assert ruled == {Ruling.PROVIDER: lesser, Ruling.MINIMUM: lesser, Ruling.BUYER: 900}
    assert only(reconciled(refused(millitokens=900), refused(side=B))).verdict is Verdict.REFUSED


def test_a_retry_whose_end_is_lost_says_nothing_of_the_refusal_before_it() -> None:
    start = replace(started(P, "b"), retry_of="a")
    assert counted(refused("a"), start) == {"a": 700}
    assert counted(start, refused("c", retry_of="b")) == {"c": 700}


def test_a_chain_counts_from_its_first_refusal_of_a_counting_kind() -> None:
    over_rate = refused("a", reason=RefusalReason.OVER_RATE)
    assert counted(over_rate, refused("b", retry_of="a", seconds=1)) == {"b": 700}


def test_two_retries_of_a_request_nobody_reported_are_one_chain() -> None:
    assert counted(refused("b", retry_of="a"), refused("c", retry_of="a", seconds=1)) == {"b": 700}


def test_retries_in_a_circle_end() -> None:
    assert counted(refused("a", retry_of="b"), refused("b", retry_of="a", seconds=1)) == {"a": 700}
    assert counted(refused("a", retry_of="a")) == {"a": 700}


def test_meters_that_disagree_on_the_retried_request_are_a_finding() -> None:
    result = reconciled(refused("a", retry_of="x"), refused("a", side=B))
    assert only(result).retries_disputed
    assert result.findings == result.requests


# What cases and the register are made of


def test_a_discrepancy_sums_all_its_requests_and_shows_the_first() -> None:
    records = [
        record
        for number in range(150)
        for record in (served(P, 10, f"{number:03}", output_reasoning=20), served(B, 10, f"{number:03}"))
    ]
    (found,) = reconciled(*records).discrepancies
    assert (found.kind, found.requests, len(found.shown)) == (CaseKind.FIGURES_DIFFER, 150, 100)
    assert found.shown[0].request_id == "000"
    assert found.provider_tokens == tokens(output_visible=1500, output_reasoning=3000)
    assert (found.provider_millitokens, found.buyer_millitokens) == (weighed(found.provider_tokens), 1500 * 4000)
    assert found.settled_millitokens == 1500 * 4000


def test_the_register_measures_inside_the_unzeroed_tolerance_whatever_settles() -> None:
    records = [served(P, 1000, "a"), served(B, 997, "a"), served(P, 1000, "b"), served(B, 1000, "b")]
    outside = [served(P, 1000, "c"), served(B, 900, "c"), refused("d"), refused("d", side=B), served(P, 5, "e")]
    for tolerance in (TOLERANCE, ZERO):
        bias = reconciled(*records, *outside, tolerance=tolerance).bias
        assert (bias.compared, bias.differing) == (2, 1)
        assert bias.difference_millitokens == 3 * 4000
        # Of each request 5 tokens of output, and one for each kind of input that both count.
        assert bias.tolerance_millitokens == 2 * (5 * 4000 + 1000 + 1000)
    assert only(reconciled(*records[:2], tolerance=ZERO)).verdict is Verdict.CONFLICT


def test_a_gateway_that_settles_leaves_nothing_to_the_register() -> None:
    assert reconciled(served(G, 10), served(P, 10), served(B, 10)).bias.compared == 0
