"""Who reports what for whom, and whether it can be settled. Pure.

Reasons that concern stored events (duplicates, corrections, watermarks) come later, with what is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from settlement.metering.buckets import TokenBuckets
from settlement.metering.decode import BadEvent, Report, WatermarkReport
from settlement.metering.events import MAX_COUNT, Kind
from settlement.metering.families import adapter_version, extract
from settlement.metering.records import Side
from settlement.metering.results import IntakeQuarantine, RejectCode
from settlement.metering.weights import TokenWeights, weigh, weigh_refusal

CLOCK_TOLERANCE = timedelta(minutes=5)  # how far ahead of ours a meter's clock may run
OLDEST = timedelta(days=35)
# A billion contract tokens. No request comes near, and what any number of events sums up to then fits 64 bits: nobody
# can report so much that a contract cannot be settled.
MAX_EVENT_MILLITOKENS = 10**12
# Of an aggregate, whose limits are those of an event times its requests. More than all of a nation uses in a minute.
MAX_AGGREGATE_MILLITOKENS = 10**15

_NO_BUCKETS = TokenBuckets()


class KnownMeter(Struct, frozen=True):
    """A meter of the reporting party."""

    id: int
    party_id: int
    side: Side
    signature_required: bool


class MeteredContract(Struct, frozen=True):
    """A contract as metering needs it. `final`: its last run has begun. `weights` is None if they are incomplete."""

    id: int
    delivery_start: datetime
    delivery_end: datetime
    weights: TokenWeights | None
    refused_output_tokens: int
    final: bool


class MeteringContext(Struct, frozen=True):
    """Meters of the reporting party by code, contracts by symbol, parties by code: those a call names."""

    meters: Mapping[str, KnownMeter]
    contracts: Mapping[str, MeteredContract]
    parties: Mapping[str, int]


class Judged(Struct, gc=False):
    """An event as it is stored, by its place in the call. With a `reason` it is quarantined; `detail` says more."""

    place: int
    report: Report
    meter_id: int
    contract_id: int
    buyer_id: int
    provider_id: int
    buckets: TokenBuckets
    millitokens: int
    adapter_version: int
    reason: str | None
    detail: str


class JudgedWatermark(Struct, gc=False):
    """A watermark as it is stored, by its place in the call."""

    place: int
    report: WatermarkReport
    meter_id: int
    contract_id: int


def judge(place: int, report: Report, context: MeteringContext, *, now: datetime, signer: str | None) -> Judged:
    """Judge an event received `now`, in a call signed by the meter `signer`, if any. Raises `BadEvent` for what is not
    even kept."""
    meter = _meter(report, context, signer)
    contract = context.contracts.get(report.contract)
    if contract is None:
        raise _unknown_contract(report.contract)
    buyer_id, provider_id = context.parties.get(report.buyer), context.parties.get(report.provider)
    if buyer_id is None or provider_id is None:
        raise BadEvent(RejectCode.UNKNOWN_PARTY, "There is no such buyer or no such provider.")
    side = meter.side
    if side is not Side.GATEWAY and (provider_id if side is Side.PROVIDER else buyer_id) != meter.party_id:
        raise BadEvent(RejectCode.NOT_YOUR_USAGE, "A party's meter reports that party's own usage only.")
    judged = Judged(place, report, meter.id, contract.id, buyer_id, provider_id, _NO_BUCKETS, 0, 0, None, "")
    aside = _set_aside(judged, contract, now=now, signed=signer is not None)
    if report.raw is not None:
        _measure(judged, contract, aside=aside)
    return judged


def judge_watermark(
    place: int, report: WatermarkReport, context: MeteringContext, *, now: datetime, signer: str | None
) -> JudgedWatermark:
    """The same for a watermark, which has no pair. Raises `BadEvent`, also for one that runs ahead of the time."""
    meter = _meter(report, context, signer)
    contract = context.contracts.get(report.contract)
    if contract is None:
        raise _unknown_contract(report.contract)
    if report.sequence < 1:
        raise BadEvent(RejectCode.WATERMARK_OUT_OF_ORDER, "Watermarks of a meter and contract count from 1.")
    if report.up_to > now + CLOCK_TOLERANCE:
        raise BadEvent(RejectCode.WATERMARK_OUT_OF_ORDER, "up_to has not come yet.")
    return JudgedWatermark(place, report, meter.id, contract.id)


def _meter(report: Report | WatermarkReport, context: MeteringContext, signer: str | None) -> KnownMeter:
    meter = context.meters.get(report.source)
    if meter is None:
        raise BadEvent(RejectCode.UNKNOWN_METER, f"There is no meter {report.source!r} that this key may report for.")
    if signer is None:
        if meter.signature_required:
            raise BadEvent(RejectCode.SIGNATURE_REQUIRED, f"{report.source} counts in calls signed by it only.")
    elif signer != report.source:
        raise BadEvent(RejectCode.NOT_SIGNED_BY_METER, f"The call is signed by {signer}, and the event is another's.")
    return meter


def _unknown_contract(symbol: str) -> BadEvent:
    return BadEvent(RejectCode.UNKNOWN_CONTRACT, f"There is no contract {symbol!r}: see GET /api/v1/contracts.")


def _set_aside(judged: Judged, contract: MeteredContract, *, now: datetime, signed: bool) -> bool:
    """Whether the event is quarantined for what it says beside its usage, its reason written down."""
    report = judged.report
    accepted_at, event_time = report.accepted_at, report.event_time
    if min(accepted_at, event_time) < now - OLDEST:
        judged.reason, judged.detail = IntakeQuarantine.TOO_OLD, "time or accepted_at is more than 35 days back."
    elif max(accepted_at, event_time) > now + CLOCK_TOLERANCE:
        judged.reason, judged.detail = IntakeQuarantine.IN_FUTURE, "time or accepted_at has not come yet."
    elif not contract.delivery_start <= accepted_at < contract.delivery_end:
        judged.reason = IntakeQuarantine.OUTSIDE_WINDOW
        judged.detail = "accepted_at is outside the contract's delivery window."
    elif contract.final:
        judged.reason = IntakeQuarantine.AFTER_FINAL_RUN
        judged.detail = "The contract's last settlement run has begun."
    elif report.kind is not Kind.AGGREGATE:
        return False
    elif not signed:
        judged.reason = IntakeQuarantine.AGGREGATE_NOT_SIGNED
        judged.detail = "Aggregates count in calls that their meter signed."
    elif accepted_at.second or accepted_at.microsecond:
        judged.reason, judged.detail = IntakeQuarantine.AGGREGATE_NOT_A_MINUTE, "minute is not a whole UTC minute."
    else:
        return False
    return True


def _measure(judged: Judged, contract: MeteredContract, *, aside: bool) -> None:
    """Read the usage and weigh it; what cannot be read or weighed is the reason unless there is one already."""
    report = judged.report
    extraction = extract(report.family, report.usage)
    buckets = judged.buckets = extraction.buckets
    judged.adapter_version = adapter_version(report.family)
    if aside:
        return
    if extraction.reason is not None:
        judged.reason, judged.detail = extraction.reason, extraction.detail
        return
    weights = contract.weights
    if weights is None:
        judged.reason = IntakeQuarantine.NO_WEIGHTS
        judged.detail = "The product does not weigh every kind of token."
        return
    if report.kind is Kind.REFUSED:
        millitokens = weigh_refusal(buckets, weights, refused_output_tokens=contract.refused_output_tokens)
    else:
        millitokens = weigh(buckets, weights)
    limit = MAX_EVENT_MILLITOKENS
    if report.requests > 1:
        limit = min(MAX_AGGREGATE_MILLITOKENS, limit * report.requests)
    if millitokens > limit or _largest(buckets) > MAX_COUNT * report.requests:
        judged.reason = IntakeQuarantine.COUNT_OUT_OF_RANGE
        judged.detail = f"The counts come to more than {limit} thousandths of a contract token, or one is too large."
        return
    judged.millitokens = millitokens


def _largest(buckets: TokenBuckets) -> int:
    return max(
        buckets.input_uncached,
        buckets.input_cache_read,
        buckets.input_cache_write_short,
        buckets.input_cache_write_long,
        buckets.input_tool,
        buckets.output_visible,
        buckets.output_reasoning,
    )
