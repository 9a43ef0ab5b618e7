"""Reading usage events: CloudEvents 1.0 in JSON, strictly, one at a time. Pure.

What is wrong with an event never concerns the others of its call. Speed matters: this is much of what an event costs
the web process.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from settlement.metering.aggregates import SUMS_PREFIX
from settlement.metering.events import (
    MAX_ID_LENGTH,
    AggregateEvent,
    CompletedEvent,
    Correction,
    CorrectionEvent,
    Event,
    Kind,
    RefusedEvent,
    StartedEvent,
    WatermarkEvent,
)
from settlement.metering.instants import parse_instant
from settlement.metering.records import RefusalReason
from settlement.metering.results import RejectCode

MAX_EVENT_BYTES = 16_384
MAX_DEPTH = 20
_ID_SOUGHT_IN = 16 * MAX_EVENT_BYTES
# A retry may come with other tracing headers; these alone make an event the same.
_CONTENT = frozenset({"type", "source", "id", "time", "subject", "data"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# No reader of what is kept can be trusted with a NUL; an escaped one, not an escaped backslash before "u0000".
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

_plain = msgspec.json.Decoder()
_typed: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_canonical = msgspec.json.Encoder(order="deterministic")

RequestEvent = StartedEvent | CompletedEvent | RefusedEvent | CorrectionEvent


class Report(Struct, gc=False):
    """A well-formed event, except for watermarks. `usage` is the provider's object, still to be judged; `raw` has its
    bytes, `event` those of the whole. Times are in UTC; of an aggregate `accepted_at` is its minute. The timings are in
    milliseconds, None if the meter did not say."""

    kind: Kind
    source: str
    event_id: str
    contract: str
    buyer: str
    provider: str
    request_id: str
    accepted_at: datetime
    event_time: datetime
    content_hash: bytes
    event: bytes
    family: str = ""
    usage: Any = None
    raw: bytes | None = None
    refusal: RefusalReason | None = None
    retry_of: str | None = None
    supersedes: str | None = None
    why: str | None = None
    requests: int = 1
    records_root: bytes | None = None
    ttft_ms: int | None = None
    output_ms: int | None = None


class WatermarkReport(Struct, gc=False):
    """A well-formed watermark."""

    source: str
    event_id: str
    contract: str
    up_to: datetime
    sequence: int
    events: int
    root: bytes
    content_hash: bytes
    event: bytes


class BadEvent(Exception):
    """The event cannot be read, or nobody could say whose it is. The message says what is wrong."""

    def __init__(self, code: RejectCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def decode_event(raw: bytes) -> Report | WatermarkReport:
    """Read one event, or raise `BadEvent`."""
    if len(raw) > MAX_EVENT_BYTES:
        raise BadEvent(RejectCode.EVENT_TOO_LARGE, f"An event has at most {MAX_EVENT_BYTES} bytes, not {len(raw)}.")
    try:
        value = _plain.decode(raw)
        event = _typed.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid(f"The event cannot be read: {error}.") from None
    content_hash = hashlib.sha256(_content(raw, value, event)).digest()
    if isinstance(event, WatermarkEvent):
        return _watermark(event, content_hash, raw)
    return _report(event, value["data"].get("usage"), content_hash, raw)


def event_id_of(raw: bytes) -> str:
    """The id an event claims, for naming it in an answer; empty when it has none that could be told back, and of an
    event so large that looking for it would cost more than it is worth."""
    if len(raw) > _ID_SOUGHT_IN:
        return ""
    try:
        event = json.loads(raw, parse_int=len)
    except (ValueError, RecursionError):
        return ""
    claimed = event.get("id") if isinstance(event, Mapping) else None
    if not isinstance(claimed, str) or _CONTROL.search(claimed):
        return ""
    return claimed[:MAX_ID_LENGTH].encode("utf-8", "replace").decode()


def _content(raw: bytes, value: dict[str, Any], event: Event) -> bytes:
    """The members that make the event what it is, in the one form their hash is taken over.

    Finds members named twice, too, without a slower reader: every colon of the event must turn up again.
    """
    if len(value) == 6 + ("subject" in value):
        content, others = value.copy(), 1
        del content["specversion"]
        encoded = _canonical.encode(content)
    else:
        encoded = _canonical.encode({name: value[name] for name in value if name in _CONTENT})
        others = _canonical.encode({name: value[name] for name in value if name not in _CONTENT}).count(b":")
    if b"\\" in raw or raw.count(b":") != encoded.count(b":") + others:
        _refuse_repeated_members(raw)
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        _refuse_depth(value)
    if not encoded.isascii() or b"\\" in encoded or b"\x7f" in encoded:
        _refuse_controls(encoded, event)
    return encoded


def _refuse_repeated_members(raw: bytes) -> None:
    def unique(members: list[tuple[str, Any]]) -> None:
        if len({name for name, _ in members}) < len(members):
            raise BadEvent(RejectCode.DUPLICATE_MEMBER, "An object of the event names a member twice.")

    json.loads(raw, object_pairs_hook=unique, parse_int=str, parse_float=str)


def _refuse_depth(value: object) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            below
            for item in level
            if isinstance(item, dict | list)
            for below in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise _invalid(f"The event nests deeper than {MAX_DEPTH} levels.")


def _refuse_controls(encoded: bytes, event: Event) -> None:
    if _ESCAPED_NUL.search(encoded):
        raise _invalid("The event holds a NUL character.")
    data = event.data
    told: dict[str, object] = {name: getattr(data, name) for name in data.__struct_fields__ if name != "usage"}
    for name, text in (told | {"source": event.source, "id": event.id}).items():
        if isinstance(text, str) and _CONTROL.search(text):
            raise _invalid(f"{name} holds a control character.")


def _watermark(event: WatermarkEvent, content_hash: bytes, raw: bytes) -> WatermarkReport:
    _instant("time", event.time)
    data = event.data
    return WatermarkReport(
        source=event.source,
        event_id=event.id,
        contract=data.contract,
        up_to=_instant("up_to", data.up_to),
        sequence=data.sequence,
        events=data.events,
        root=bytes.fromhex(data.root),
        content_hash=content_hash,
        event=raw,
    )


def _report(event: RequestEvent | AggregateEvent, usage: object, content_hash: bytes, raw: bytes) -> Report:
    if isinstance(event, AggregateEvent):
        return _aggregate(event, usage, content_hash, raw)
    data = event.data
    if data.request_id.startswith(SUMS_PREFIX):
        raise _invalid(f"request_id must not begin with {SUMS_PREFIX}: so summed minutes are called.")
    event_time = _instant("time", event.time)
    report = Report(
        Kind.COMPLETED,
        event.source,
        event.id,
        data.contract,
        data.buyer,
        data.provider,
        data.request_id,
        event_time if data.accepted_at == event.time else _instant("accepted_at", data.accepted_at),
        event_time,
        content_hash,
        raw,
    )
    report.retry_of = data.retry_of
    match event:
        case CompletedEvent():
            report.family, report.usage, report.raw = event.data.family, usage, bytes(event.data.usage)
            report.ttft_ms, report.output_ms = event.data.ttft_ms, event.data.output_ms
        case RefusedEvent():
            report.kind, report.refusal = Kind.REFUSED, event.data.reason
            report.family, report.usage, report.raw = event.data.family, usage, bytes(event.data.usage)
        case StartedEvent():
            report.kind = Kind.STARTED
        case CorrectionEvent():
            _correct(report, event.data, usage)
    return report


def _correct(report: Report, data: Correction, usage: object) -> None:
    report.kind, report.supersedes, report.why = Kind(data.replacement), data.supersedes, data.why
    if report.kind is Kind.VOID:
        return
    if data.family is None:
        raise _invalid("A correction that is not void has a family, and usage as the request should have had.")
    report.family, report.usage, report.raw = data.family, usage, bytes(data.usage)
    if report.kind is Kind.REFUSED:
        if data.reason is None:
            raise _invalid("A correction to a refusal has a reason.")
        report.refusal = data.reason
    else:
        report.ttft_ms, report.output_ms = data.ttft_ms, data.output_ms


def _aggregate(event: AggregateEvent, usage: object, content_hash: bytes, raw: bytes) -> Report:
    data = event.data
    return Report(
        kind=Kind.AGGREGATE,
        source=event.source,
        event_id=event.id,
        contract=data.contract,
        buyer=data.buyer,
        provider=data.provider,
        request_id="",
        accepted_at=_instant("minute", data.minute),
        event_time=_instant("time", event.time),
        content_hash=content_hash,
        event=raw,
        family=data.family,
        usage=usage,
        raw=bytes(data.usage),
        requests=data.requests,
        records_root=bytes.fromhex(data.records_root),
    )


def _instant(name: str, text: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError:
        raise _invalid(f"{name} must be a time with its offset, such as 2026-12-01T14:00:00Z.") from None


def _invalid(message: str) -> BadEvent:
    return BadEvent(RejectCode.INVALID_EVENT, message)
