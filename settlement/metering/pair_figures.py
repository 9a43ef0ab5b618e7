"""What the meters of a pair come to over a delivery window, as a run settles it and statements tell it. Pure.

Made of a reconciliation here, and summed in the database where every request is plain
(`settlement.metering.plain_usage`): both give the identical value.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, field

from settlement.calculation import MinuteUse
from settlement.metering.aggregates import fold_minutes
from settlement.metering.buckets import OUTPUT_BUCKETS, SETTLED_BUCKETS
from settlement.metering.joining import join
from settlement.metering.reconcile import Reconciliation, reconcile
from settlement.metering.records import CaseKind, RecordKind, Side, UsageRecord
from settlement.metering.rules_of_pair import PairRules
from settlement.metering.verdicts import Verdict
from settlement.metering.weights import TokenWeights
from settlement.sla import ServiceFigures, nearest_rank

NO_EVENTS = hashlib.sha256(b"").hexdigest()
P95 = 95
OUTPUT_PLACES = tuple(place for place, bucket in enumerate(SETTLED_BUCKETS) if bucket in OUTPUT_BUCKETS)


class BucketFigure(Struct, frozen=True, gc=False):
    """Raw tokens of a bucket over all delivered requests: what each side says, what settles, and what tolerance
    allowed."""

    provider: int = 0
    buyer: int = 0
    gateway: int = 0
    settled: int = 0
    tolerance: int = 0


NO_BUCKETS = (BucketFigure(),) * len(SETTLED_BUCKETS)


class PairFigures(Struct, frozen=True, gc=False):
    """The reconciled usage of a buyer with a provider.

    `digest` is the SHA-256, in hex, of the content hashes of all its `events`, in their order. `said`: delivered
    millitokens by side, of the sides that say anything. `buckets` in the order of `SETTLED_BUCKETS`. `discrepancies`:
    requests by kind of case, ruled or not. `service` is None where nobody promised any.
    """

    events: int = 0
    digest: str = NO_EVENTS
    signed: Mapping[Side, int] = field(default_factory=dict)
    corrections: int = 0
    requests: int = 0
    refused_requests: int = 0
    findings: int = 0
    settled_millitokens: int = 0
    refused_millitokens: int = 0
    disputed_millitokens: int = 0
    said: Mapping[Side, int] = field(default_factory=dict)
    minutes: tuple[MinuteUse, ...] = ()
    buckets: tuple[BucketFigure, ...] = NO_BUCKETS
    verdicts: Mapping[Verdict, int] = field(default_factory=dict)
    lost_ends: Mapping[Side, int] = field(default_factory=dict)
    discrepancies: Mapping[CaseKind, int] = field(default_factory=dict)
    service: ServiceFigures | None = None


NO_SERVICE = ServiceFigures(0, None, 0, 0, 0, 0)


class PlainSums(Struct, gc=False):
    """What the plain requests of a pair come to: all its meters say the same of them, and nobody anything else.

    `served` counts those with tokens; `ttft_ms`, `output_tokens` and `output_ms` are of the timed ones.
    """

    requests: int = 0
    said: dict[Side, int] = field(default_factory=dict)
    settled_millitokens: int = 0
    minutes: dict[datetime, int] = field(default_factory=dict)
    buckets: tuple[BucketFigure, ...] = NO_BUCKETS
    verdicts: dict[Verdict, int] = field(default_factory=dict)
    served: int = 0
    ttft_ms: Sequence[int] = ()
    output_tokens: int = 0
    output_ms: int = 0


class PairEvents(Struct, frozen=True, gc=False):
    """Which events a pair has: their number, digest, how many came signed by side, how many replaced another."""

    events: int = 0
    digest: str = NO_EVENTS
    signed: Mapping[Side, int] = field(default_factory=dict)
    corrections: int = 0


NOTHING_PLAIN = PlainSums()


def pair_figures(
    records: Sequence[UsageRecord],
    found: PairEvents,
    *,
    weights: TokenWeights,
    rules: PairRules,
    timed: bool,
    plain: PlainSums = NOTHING_PLAIN,
) -> PairFigures:
    """The figures of a pair from its records, and what was summed before of its plain requests.

    `timed`: a service was promised, so how it was served counts.
    """
    if not records:
        return _all_plain(plain, found, timed=timed)
    reconciled = reconcile(
        records, weights=weights, tolerance=rules.tolerance, complete=rules.complete, rulings=rules.rulings
    )
    requests = reconciled.requests
    return PairFigures(
        events=found.events,
        digest=found.digest,
        signed=found.signed,
        corrections=found.corrections,
        requests=plain.requests + len(requests),
        refused_requests=sum(1 for request in requests if request.refusal),
        findings=len(reconciled.findings),
        settled_millitokens=plain.settled_millitokens + reconciled.settled_millitokens,
        refused_millitokens=sum(request.counted_millitokens for request in requests),
        disputed_millitokens=sum(request.disputed_millitokens for request in requests),
        said=_said(reconciled, plain),
        minutes=_minutes(reconciled, plain),
        buckets=tuple(
            BucketFigure(
                summed.provider + totals.provider,
                summed.buyer + totals.buyer,
                summed.gateway + totals.gateway,
                summed.settled + totals.settled,
                summed.tolerance + bias.tolerance,
            )
            for summed, totals, bias in zip(plain.buckets, reconciled.buckets, reconciled.bias.buckets, strict=True)
        ),
        verdicts=dict(Counter(plain.verdicts) + Counter(reconciled.verdicts)),
        lost_ends=reconciled.lost_ends,
        discrepancies={found.kind: found.requests for found in reconciled.discrepancies},
        service=_service(records, reconciled, plain) if timed else None,
    )


def _said(reconciled: Reconciliation, plain: PlainSums) -> dict[Side, int]:
    """What each side's meters come to; a side that said nothing is not there."""
    said = dict(plain.said)
    for request in reconciled.requests:
        for side, millitokens in (
            (Side.GATEWAY, request.gateway_millitokens),
            (Side.PROVIDER, request.provider_millitokens),
            (Side.BUYER, request.buyer_millitokens),
        ):
            if millitokens is not None:
                said[side] = said.get(side, 0) + millitokens
    return said


def _all_plain(plain: PlainSums, found: PairEvents, *, timed: bool) -> PairFigures:
    service = None
    if timed:
        p95 = nearest_rank(plain.ttft_ms, P95)
        service = ServiceFigures(len(plain.ttft_ms), p95, plain.output_tokens, plain.output_ms, plain.served, 0)
    return PairFigures(
        events=found.events,
        digest=found.digest,
        signed=found.signed,
        corrections=found.corrections,
        requests=plain.requests,
        settled_millitokens=plain.settled_millitokens,
        said=plain.said,
        minutes=tuple([MinuteUse(minute, plain.minutes[minute]) for minute in sorted(plain.minutes)]),
        buckets=plain.buckets,
        verdicts=plain.verdicts,
        service=service,
    )


def _minutes(reconciled: Reconciliation, plain: PlainSums) -> tuple[MinuteUse, ...]:
    refused = {use.minute: use.refused_millitokens for use in reconciled.minutes}
    delivered = Counter(plain.minutes)
    for use in reconciled.minutes:
        delivered[use.minute] += use.delivered_millitokens
    return tuple(MinuteUse(minute, delivered[minute], refused.get(minute, 0)) for minute in sorted(delivered))


def _service(records: Iterable[UsageRecord], reconciled: Reconciliation, plain: PlainSums) -> ServiceFigures:
    """Of each request the gateway's figure tells, else the provider's; the sums of a minute tell nothing."""
    aggregates: list[UsageRecord] = []
    singles: list[UsageRecord] = []
    for record in records:
        (aggregates if record.kind is RecordKind.AGGREGATE else singles).append(record)
    joined, _ = fold_minutes(join(singles), aggregates)
    ttft_ms = list(plain.ttft_ms)
    served, output_tokens, output_ms = plain.served, plain.output_tokens, plain.output_ms
    for verdict, request in zip(reconciled.requests, joined.values(), strict=True):
        if not verdict.settled_millitokens:
            continue
        served += request.leading.requests
        judge = request.ends.get(Side.GATEWAY) or request.ends.get(Side.PROVIDER)
        if judge is None or judge.refusal is not None or judge.ttft_ms is None or judge.output_ms is None:
            continue
        ttft_ms.append(judge.ttft_ms)
        output_tokens += sum(judge.tokens[place] for place in OUTPUT_PLACES)
        output_ms += judge.output_ms
    failed = sum(1 for verdict in reconciled.requests if verdict.counted_millitokens)
    return ServiceFigures(len(ttft_ms), nearest_rank(ttft_ms, P95), output_tokens, output_ms, served, failed)
