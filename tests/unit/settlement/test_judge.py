"""Who may report what, and what is kept aside: the first reason is told."""

from __future__ import annotations

import json
from dataclasses import replace as with_fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from settlement.metering.decode import BadEvent, Report, WatermarkReport, decode_event
from settlement.metering.events import AGGREGATE_TYPE, COMPLETED_TYPE, STARTED_TYPE, WATERMARK_TYPE
from settlement.metering.judge import (
    CLOCK_TOLERANCE,
    MAX_AGGREGATE_MILLITOKENS,
    MAX_EVENT_MILLITOKENS,
    OLDEST,
    Judged,
    KnownMeter,
    MeteredContract,
    MeteringContext,
    judge,
    judge_watermark,
)
from settlement.metering.records import Side
from settlement.metering.weights import plain_weights

START = datetime(2026, 12, 1, 14, tzinfo=UTC)
END = START + timedelta(hours=1)
NOW = END
WEIGHTS = plain_weights(input_milli=1_000, cache_read_milli=100, output_milli=4_000)
CONTRACT = MeteredContract(7, START, END, WEIGHTS, refused_output_tokens=256, final=False)
METERS = {
    "m/acme": KnownMeter(1, 20, Side.PROVIDER, signature_required=False),
    "m/ada": KnownMeter(2, 10, Side.BUYER, signature_required=False),
    "m/gate": KnownMeter(3, 30, Side.GATEWAY, signature_required=False),
    "m/strict": KnownMeter(4, 20, Side.PROVIDER, signature_required=True),
}
CONTEXT = MeteringContext(METERS, {"C@1": CONTRACT}, {"ada": 10, "acme": 20, "other": 21})


def reported(
    usage: Any = None, *, event_type: str = COMPLETED_TYPE, source: str = "m/acme", time: datetime = START, **data: Any
) -> Report:
    told = {
        "contract": "C@1", "buyer": "ada", "provider": "acme", "request_id": "r", "accepted_at": START.isoformat(),
        "family": "tokenbourse", "usage": {"input": 10, "output": 2} if usage is None else usage,
    } | data  # fmt: skip
    event = {"specversion": "1.0", "type": event_type, "source": source, "id": "e", "time": time.isoformat()}
    report = decode_event(json.dumps(event | {"data": told}).encode())
    assert isinstance(report, Report)
    return report


def judged(report: Report, contract: MeteredContract = CONTRACT, *, now: datetime = NOW, signer: str = "") -> Judged:
    return judge(0, report, replace(CONTEXT, contracts={"C@1": contract}), now=now, signer=signer or None)


def aggregate(usage: Any = None, **data: Any) -> Report:
    told: dict[str, Any] = {"minute": START.isoformat(), "requests": 5, "records_root": "00" * 32} | data
    return reported(usage, event_type=AGGREGATE_TYPE, **told)


def test_a_sound_event_is_weighed() -> None:
    kept = judged(reported())
    assert (kept.reason, kept.millitokens, kept.adapter_version, kept.buckets.output_visible) == (None, 18_000, 1, 2)
    assert (kept.meter_id, kept.contract_id, kept.buyer_id, kept.provider_id) == (1, 7, 10, 20)
    started = judged(reported(event_type=STARTED_TYPE))
    assert (started.reason, started.millitokens, started.adapter_version) == (None, 0, 0)
    summed = judged(aggregate(), signer="m/acme")
    assert (summed.reason, summed.millitokens) == (None, 18_000)
    for source in ("m/ada", "m/gate"):
        assert judged(reported(source=source)).reason is None


@pytest.mark.parametrize(
    ("report", "signer", "code"),
    [
        (reported(source="m/nobody"), "", "unknown_meter"),
        (reported(source="m/nobody"), "m/acme", "unknown_meter"),
        (reported(source="m/strict"), "", "signature_required"),
        (reported(), "m/strict", "not_signed_by_meter"),
        (reported(contract="C@2"), "", "unknown_contract"),
        (reported(buyer="nobody"), "", "unknown_party"),
        (reported(provider="nobody"), "", "unknown_party"),
        (reported(provider="other"), "", "not_your_usage"),
        (reported(source="m/ada", buyer="other"), "", "not_your_usage"),
    ],
)
def test_what_nobody_could_be_shown_is_not_kept(report: Report, signer: str, code: str) -> None:
    with pytest.raises(BadEvent) as refused:
        judged(report, signer=signer)
    assert refused.value.code == code


FINAL = replace(CONTRACT, final=True)
UNWEIGHED = replace(CONTRACT, weights=None)
BAD = {"input": -1, "output": 0}
LONG = timedelta(days=60)
WIDE = replace(CONTRACT, delivery_start=START - LONG, delivery_end=START + LONG, final=True)
ASIDE: list[tuple[Report, MeteredContract, str]] = [
    (reported(BAD), CONTRACT, "negative_count"),
    (reported(BAD), FINAL, "after_final_run"),
    (reported(BAD), UNWEIGHED, "negative_count"),
    (reported(), UNWEIGHED, "no_weights"),
    (reported(BAD, accepted_at=END.isoformat()), FINAL, "outside_window"),
    (reported(accepted_at=(START - timedelta(microseconds=1)).isoformat()), CONTRACT, "outside_window"),
    (reported(accepted_at=(NOW + CLOCK_TOLERANCE + timedelta(microseconds=1)).isoformat()), WIDE, "in_future"),
    (reported(accepted_at=(NOW + CLOCK_TOLERANCE).isoformat()), WIDE, "after_final_run"),
    (reported(accepted_at=(NOW - OLDEST - timedelta(microseconds=1)).isoformat()), WIDE, "too_old"),
    (reported(accepted_at=(NOW - OLDEST).isoformat()), WIDE, "after_final_run"),
    (reported(time=NOW + LONG), CONTRACT, "in_future"),
    (reported(time=NOW - LONG, accepted_at=(NOW + LONG).isoformat()), CONTRACT, "too_old"),
    (aggregate(BAD), CONTRACT, "aggregate_not_signed"),
    (aggregate(BAD, minute="2026-12-01T14:00:00.000001Z"), CONTRACT, "aggregate_not_signed"),
    (reported({"input": MAX_EVENT_MILLITOKENS // 1_000 + 1, "output": 0}), CONTRACT, "count_out_of_range"),
]


@pytest.mark.parametrize(("report", "contract", "reason"), ASIDE)
def test_the_first_reason_is_told(report: Report, contract: MeteredContract, reason: str) -> None:
    kept = judged(report, contract)
    assert (kept.reason, kept.millitokens) == (reason, 0)
    assert kept.detail


def test_an_aggregate_is_of_a_whole_minute() -> None:
    for minute in ("2026-12-01T14:00:00.000001Z", "2026-12-01T14:00:01Z"):
        assert judged(aggregate(BAD, minute=minute), signer="m/acme").reason == "aggregate_not_a_minute"


def test_limits_are_those_of_an_event_times_its_requests() -> None:
    most = MAX_EVENT_MILLITOKENS // 1_000
    assert judged(reported({"input": most, "output": 0})).reason is None
    assert judged(aggregate({"input": 5 * most, "output": 0}), signer="m/acme").reason is None
    assert judged(aggregate({"input": 5 * most + 1, "output": 0}), signer="m/acme").reason == "count_out_of_range"
    much = aggregate({"input": MAX_AGGREGATE_MILLITOKENS // 1_000 + 1, "output": 0}, requests=1_000_000)
    assert judged(much, signer="m/acme").reason == "count_out_of_range"


def test_a_count_has_a_limit_even_where_it_weighs_nothing() -> None:
    free = replace(CONTRACT, weights=with_fields(WEIGHTS, input_uncached=0))
    assert judged(reported({"input": 10**12, "output": 0}), free).reason is None
    assert judged(reported({"input": 10**12 + 1, "output": 0}), free).reason == "count_out_of_range"


def watermark(**data: Any) -> WatermarkReport:
    told = {"contract": "C@1", "up_to": END.isoformat(), "sequence": 1, "events": 0, "root": "00" * 32} | data
    event = {"specversion": "1.0", "type": WATERMARK_TYPE, "source": "m/ada", "id": "w", "time": END.isoformat()}
    report = decode_event(json.dumps(event | {"data": told}).encode())
    assert isinstance(report, WatermarkReport)
    return report


def test_a_watermark_counts_from_one_and_does_not_run_ahead() -> None:
    kept = judge_watermark(0, watermark(), CONTEXT, now=NOW, signer=None)
    assert (kept.meter_id, kept.contract_id) == (2, 7)
    ahead = (NOW + CLOCK_TOLERANCE + timedelta(seconds=1)).isoformat()
    for bad, code in (
        (watermark(sequence=0), "watermark_out_of_order"),
        (watermark(up_to=ahead), "watermark_out_of_order"),
        (watermark(contract="C@2"), "unknown_contract"),
    ):
        with pytest.raises(BadEvent) as refused:
            judge_watermark(0, bad, CONTEXT, now=NOW, signer=None)
        assert refused.value.code == code
