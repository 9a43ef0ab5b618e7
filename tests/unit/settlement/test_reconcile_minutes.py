from __future__ import annotations

from settlement.metering.reconcile import (
    CaseKind,
    Side,
    Verdict,
)
from tests.unit.settlement.usage_said import (
    counted,
    minute_sum,
    only,
    reconciled,
    refused,
    served,
    started,
)

P, B, G = Side.PROVIDER, Side.BUYER, Side.GATEWAY
BUYER_COMPLETE = frozenset({B})


def test_an_aggregate_is_held_against_the_sum_of_the_other_sides_minute() -> None:
    singles = [served(B, 50, "a"), served(B, 70, "b", seconds=59), served(B, 5, "c", seconds=60)]
    result = reconciled(minute_sum(P, 121, requests=2), *singles)
    minute, other = (result.requests[1], result.requests[0])
    assert (minute.request_id, minute.verdict) == ("minute/2026-12-01T14:00Z", Verdict.WITHIN_TOLERANCE)
    assert (minute.settled_millitokens, minute.buyer_millitokens) == (121 * 4000, 120 * 4000)
    assert (other.request_id, other.verdict) == ("c", Verdict.BUYER_ONLY)
    assert [use.delivered_millitokens for use in result.minutes] == [121 * 4000, 5 * 4000]


def test_the_absolute_tolerance_of_a_minute_is_that_of_the_lesser_number_of_requests() -> None:
    singles = [served(B, 10, "a"), served(B, 10, "b"), served(B, 10, "c")]
    assert only(reconciled(minute_sum(P, 33, requests=3), *singles)).verdict is Verdict.WITHIN_TOLERANCE
    assert only(reconciled(minute_sum(P, 34, requests=1_000), *singles)).verdict is Verdict.CONFLICT


def test_singles_of_the_side_that_sent_an_aggregate_are_left_out_and_told() -> None:
    result = reconciled(minute_sum(P, 20, requests=2), served(P, 10, "a"), served(B, 10, "a"), served(B, 10, "b"))
    assert only(result).settled_millitokens == 20 * 4000
    assert only(result).repeated_by == (P,)
    assert [each.kind for each in result.discrepancies] == [CaseKind.REPEATED_REQUEST]


def test_of_two_aggregates_of_a_meter_the_least_counts_and_those_of_two_meters_add_up() -> None:
    twice = reconciled(minute_sum(P, 20, requests=2, meter=1), minute_sum(P, 15, requests=9, meter=1))
    assert (only(twice).settled_millitokens, only(twice).repeated_by) == (15 * 4000, (P,))
    two = reconciled(minute_sum(P, 20, requests=2, meter=1), minute_sum(P, 15, requests=9, meter=2))
    assert (only(two).settled_millitokens, only(two).repeated_by) == (35 * 4000, ())


def test_refusals_of_a_summed_minute_stay_single_unless_the_sum_delivered_them() -> None:
    total = minute_sum(P, 20, requests=2)
    assert counted(total, refused("a")) == {"a": 700}
    assert counted(total, refused("a"), served(B, 20, "b", retry_of="a", seconds=1)) == {}


def test_a_start_in_a_summed_minute_may_have_ended_in_the_sum() -> None:
    result = reconciled(
        minute_sum(P, 20, requests=2), started(B, "a"), started(B, "b", seconds=59), complete=BUYER_COMPLETE
    )
    assert only(result).verdict is Verdict.PROVIDER_ONLY
    assert only(result).lost_by == (B,)
    assert reconciled(minute_sum(P, 20, requests=2), started(B, "a", seconds=60)).verdicts[Verdict.LOST_END] == 1


def test_fewer_starts_than_requests_do_not_witness_a_summed_minute() -> None:
    """Else one lost end would vouch for a thousand requests that nobody else saw."""
    result = reconciled(minute_sum(P, 20, requests=2), started(B, "a"), complete=BUYER_COMPLETE)
    assert result.verdicts == {Verdict.UNWITNESSED: 1, Verdict.LOST_END: 1}
    assert result.settled_millitokens == 0
    singles = [served(B, 10, "b"), started(B, "c")]
    present = reconciled(minute_sum(P, 20, requests=2), *singles, complete=BUYER_COMPLETE)
    assert only(present).lost_by == (), "a side that has a part in the sum needs no witness"


def test_an_empty_sum_does_not_part_two_meters_whose_clocks_differ() -> None:
    """The provider would take the buyer's figure out of the way, and its own would settle."""
    told = [served(B, 10, "a", seconds=59), served(P, 100, "a", seconds=60)]
    for minute in (0, 1):
        result = reconciled(*told, minute_sum(P, 0, requests=1, minute=minute), complete=BUYER_COMPLETE)
        assert result.settled_millitokens <= 10 * 4000, minute
    empty = reconciled(*told, minute_sum(P, 0, requests=1))
    assert {each.request_id: each.verdict for each in empty.requests}["a"] is Verdict.CONFLICT


def test_what_goes_into_a_sum_goes_into_one_minute_by_the_clock_that_weighs_most() -> None:
    told = [served(B, 10, "a", seconds=60), served(P, 10, "a", seconds=59)]
    result = reconciled(*told, minute_sum(P, 10, requests=1))
    assert (only(result).verdict, only(result).settled_millitokens) == (Verdict.MATCHED, 10 * 4000)


def test_a_request_that_is_called_like_a_summed_minute_stays_another() -> None:
    """Of an earlier release: today's door turns such ids away."""
    name = "minute/2026-12-01T14:09Z"
    result = reconciled(served(P, 90, name), served(B, 90, name), minute_sum(B, 1, requests=1, minute=9))
    assert [each.request_id for each in result.requests] == [name, name]
    assert result.settled_millitokens == 91 * 4000


def test_a_delivery_that_the_provider_alone_sums_cancels_no_refusal_that_both_report() -> None:
    both = [refused("a"), refused("a", side=B)]
    made_up = [minute_sum(P, 0, requests=1), served(P, 0, "z", retry_of="a")]
    assert counted(*both, *made_up) == {"a": 700}
    assert counted(*both, *made_up, served(B, 0, "z")) == {}
