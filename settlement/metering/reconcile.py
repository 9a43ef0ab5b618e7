"""Joining what several meters say about the same requests. Pure; the order of the records does not matter.

All records are of one (contract, buyer, provider) and one delivery window. A gateway's record outranks the parties';
without one the provider's settles within tolerance, and outside it only what nobody disputes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType

from msgspec import Struct, field

from settlement.calculation import MinuteUse
from settlement.metering.aggregates import fold_minutes, minute_of
from settlement.metering.bias import Bias, compare, no_bias
from settlement.metering.buckets import SETTLED_BUCKETS
from settlement.metering.discrepancies import Discrepancy, discrepancies_of
from settlement.metering.joining import Joined, join
from settlement.metering.records import (
    COUNTING_REASONS,
    CaseKind,
    Decided,
    RecordKind,
    RefusalReason,
    Ruling,
    Side,
    UsageRecord,
)
from settlement.metering.refusals import counted_refusals, links_of
from settlement.metering.tolerance import Tolerance
from settlement.metering.verdicts import (
    OPEN_VERDICTS,
    RequestVerdict,
    Settling,
    Verdict,
    allowed,
    comparable,
    settle,
)
from settlement.metering.weights import TokenWeights

__all__ = [
    "COUNTING_REASONS",
    "CaseKind",
    "Decided",
    "Discrepancy",
    "Reconciliation",
    "RecordKind",
    "RefusalReason",
    "RequestVerdict",
    "Ruling",
    "Side",
    "Tolerance",
    "UsageRecord",
    "Verdict",
    "reconcile",
]

NO_RULINGS: Mapping[CaseKind, Decided] = MappingProxyType({})


class BucketTotals(Struct):
    """Raw tokens of a bucket over all delivered requests: what each side says, and what settles."""

    provider: int = 0
    buyer: int = 0
    gateway: int = 0
    settled: int = 0


class Reconciliation(Struct):
    """All requests by id, their use by minute, ready for `calculate`, and what they come to.

    `buckets` in the order of `SETTLED_BUCKETS`; `bias` is the material of the bias register; `discrepancies` what cases
    are opened for, by kind.
    """

    requests: tuple[RequestVerdict, ...] = ()
    minutes: tuple[MinuteUse, ...] = ()
    buckets: tuple[BucketTotals, ...] = field(default_factory=lambda: tuple(BucketTotals() for _ in SETTLED_BUCKETS))
    bias: Bias = field(default_factory=no_bias)
    discrepancies: tuple[Discrepancy, ...] = ()

    @property
    def findings(self) -> tuple[RequestVerdict, ...]:
        """The requests that somebody should look at."""
        return tuple(
            request
            for request in self.requests
            if request.verdict in OPEN_VERDICTS or request.retries_disputed or request.repeated_by
        )

    @property
    def settled_millitokens(self) -> int:
        return sum(request.settled_millitokens for request in self.requests)

    @property
    def verdicts(self) -> dict[Verdict, int]:
        """How many requests have each verdict, in the order of `Verdict`; none is left out."""
        counts = Counter(request.verdict for request in self.requests)
        return {verdict: counts[verdict] for verdict in Verdict if counts[verdict]}

    @property
    def lost_ends(self) -> dict[Side, int]:
        """Of how many requests each side saw the start and does not say the end, while another side does."""
        counts = Counter(side for request in self.requests for side in request.lost_by)
        return {side: counts[side] for side in Side if counts[side]}


def reconcile(
    records: Iterable[UsageRecord],
    *,
    weights: TokenWeights,
    tolerance: Tolerance,
    complete: frozenset[Side] = frozenset(),
    rulings: Mapping[CaseKind, Decided] = NO_RULINGS,
) -> Reconciliation:
    """Decide every request, count refused demand, and sum both by minute.

    `complete`: the sides whose meters have proved that they sent all they had of the window. `rulings`: those of the
    pair's decided cases.
    """
    aggregates: list[UsageRecord] = []
    singles = join(_without_aggregates(records, aggregates))
    links = links_of(singles)
    joined, summed = fold_minutes(singles, aggregates)
    settled = {request_id: settle(request, tolerance, complete, rulings) for request_id, request in joined.items()}
    counted = counted_refusals(joined, settled, links, {each: singles[each] for each in summed})
    requests = tuple(
        _verdict(request, settled[request_id], counted.get(request_id, 0)) for request_id, request in joined.items()
    )
    buckets, bias = _sums(joined, settled, tolerance, weights)
    return Reconciliation(requests, _by_minute(requests), buckets, bias, discrepancies_of(requests, joined.values()))


def _without_aggregates(records: Iterable[UsageRecord], aside: list[UsageRecord]) -> Iterable[UsageRecord]:
    for record in records:
        if record.kind is RecordKind.AGGREGATE:
            aside.append(record)
        else:
            yield record


def _verdict(request: Joined, settling: Settling, counted_millitokens: int) -> RequestVerdict:
    ends = request.ends
    figures = {side: record.delivered_millitokens for side, record in ends.items()}
    stands = settling.record
    if stands is None and ends and settling.verdict is not Verdict.CONFLICT:
        stands = request.leading
    return RequestVerdict(
        request_id=request.request_id,
        verdict=settling.verdict,
        accepted_at=request.accepted_at,
        settled_millitokens=settling.millitokens,
        provider_millitokens=figures.get(Side.PROVIDER),
        buyer_millitokens=figures.get(Side.BUYER),
        gateway_millitokens=figures.get(Side.GATEWAY),
        refusal=None if stands is None else stands.refusal,
        counted_millitokens=counted_millitokens,
        kind=settling.kind,
        ruled=settling.ruled,
        lost_by=_lost_by(request) if request.starts else (),
        repeated_by=request.repeated_by,
        retries_disputed=len(ends) > 1 and len({record.retry_of for record in ends.values()}) > 1,
    )


def _lost_by(request: Joined) -> tuple[Side, ...]:
    """The sides that saw it start and do not say how it ended, while another does."""
    return tuple(side for side in Side if side in request.starts and side not in request.ends) if request.ends else ()


def _sums(
    joined: Mapping[str, Joined], settled: Mapping[str, Settling], tolerance: Tolerance, weights: TokenWeights
) -> tuple[tuple[BucketTotals, ...], Bias]:
    """Raw tokens by bucket and side, and the bias register. Where a gateway settles, the parties' bias is no matter."""
    sums = {side: [0] * len(SETTLED_BUCKETS) for side in Side}
    settling = [0] * len(SETTLED_BUCKETS)
    bias = no_bias()
    weight_of = tuple(weights.of(bucket) for bucket in SETTLED_BUCKETS)
    for request_id, request in joined.items():
        for side, record in request.ends.items():
            if record.refusal is None:
                _add(sums[side], record.tokens)
        settles = settled[request_id].record
        if settles is not None and settles.refusal is None:
            _add(settling, settles.tokens)
        provider, buyer = request.ends.get(Side.PROVIDER), request.ends.get(Side.BUYER)
        if provider is None or buyer is None or Side.GATEWAY in request.ends or provider.refusal or buyer.refusal:
            continue
        if comparable(provider, buyer, tolerance):
            compare(bias, provider.tokens, buyer.tokens, allowed(provider, buyer, tolerance), weight_of)
    totals = zip(sums[Side.PROVIDER], sums[Side.BUYER], sums[Side.GATEWAY], settling, strict=True)
    return tuple(BucketTotals(*figures) for figures in totals), bias


def _add(sums: list[int], tokens: tuple[int, ...]) -> None:
    for place, count in enumerate(tokens):
        if count:
            sums[place] += count


def _by_minute(requests: Iterable[RequestVerdict]) -> tuple[MinuteUse, ...]:
    delivered: dict[datetime, int] = defaultdict(int)
    refused: dict[datetime, int] = defaultdict(int)
    for request in requests:
        minute = minute_of(request.accepted_at)
        delivered[minute] += request.settled_millitokens
        refused[minute] += request.counted_millitokens
    return tuple(MinuteUse(minute, delivered[minute], refused[minute]) for minute in sorted(delivered))
