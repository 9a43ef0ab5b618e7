"""Records of a pair's meters, made by hand for tests of reconciliation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from settlement.metering.buckets import SETTLED_BUCKETS, Bucket
from settlement.metering.reconcile import (
    CaseKind,
    Decided,
    Reconciliation,
    RefusalReason,
    RequestVerdict,
    Ruling,
    Side,
    Tolerance,
    UsageRecord,
    reconcile,
)
from settlement.metering.records import RecordKind
from settlement.metering.weights import TokenWeights, plain_weights
from settlement.rules import TOLERANCE

START = datetime(2026, 12, 1, 14, tzinfo=UTC)
WEIGHTS = plain_weights(input_milli=1000, cache_read_milli=100, output_milli=4000)


def tokens(**counts: int) -> tuple[int, ...]:
    """Counts by bucket name, in the order of a record."""
    assert counts.keys() <= {bucket.value for bucket in Bucket}
    return tuple(counts.get(bucket.value, 0) for bucket in SETTLED_BUCKETS)


def weighed(counts: tuple[int, ...], weights: TokenWeights = WEIGHTS) -> int:
    return sum(count * weights.of(bucket) for bucket, count in zip(SETTLED_BUCKETS, counts, strict=True))


def served(
    side: Side, output: int, request_id: str = "r1", *, retry_of: str | None = None, seconds: int = 0, **counts: int
) -> UsageRecord:
    """A completed request of `output` visible tokens, and whatever else is named."""
    spent = tokens(**{"output_visible": output} | counts)
    accepted_at = START + timedelta(seconds=seconds)
    return UsageRecord(side, RecordKind.COMPLETED, request_id, accepted_at, spent, weighed(spent), None, retry_of)


def refused(
    request_id: str = "r1",
    *,
    side: Side = Side.PROVIDER,
    reason: RefusalReason = RefusalReason.CAPACITY,
    retry_of: str | None = None,
    seconds: int = 0,
    millitokens: int = 700,
) -> UsageRecord:
    """A refused request of so much refused demand; its tokens are what the caller sent."""
    accepted_at = START + timedelta(seconds=seconds)
    return UsageRecord(
        side, RecordKind.REFUSED, request_id, accepted_at, tokens(input_uncached=9), millitokens, reason, retry_of
    )


def started(side: Side, request_id: str = "r1", *, seconds: int = 0) -> UsageRecord:
    return UsageRecord(side, RecordKind.STARTED, request_id, START + timedelta(seconds=seconds))


def minute_sum(
    side: Side, output: int, *, requests: int, minute: int = 0, meter: int = 0, **counts: int
) -> UsageRecord:
    spent = tokens(**{"output_visible": output} | counts)
    accepted_at = START + timedelta(minutes=minute)
    return UsageRecord(
        side, RecordKind.AGGREGATE, "", accepted_at, spent, weighed(spent), requests=requests, meter=meter
    )


def reconciled(
    *records: UsageRecord,
    tolerance: Tolerance = TOLERANCE,
    complete: frozenset[Side] = frozenset(),
    rulings: Mapping[CaseKind, Ruling] | None = None,
) -> Reconciliation:
    decided = {kind: Decided(ruling, START + timedelta(hours=2)) for kind, ruling in (rulings or {}).items()}
    return reconcile(records, weights=WEIGHTS, tolerance=tolerance, complete=complete, rulings=decided)


def only(result: Reconciliation) -> RequestVerdict:
    (request,) = result.requests
    return request


def counted(*records: UsageRecord) -> dict[str, int]:
    result = reconciled(*records)
    return {r.request_id: r.counted_millitokens for r in result.requests if r.counted_millitokens}
