"""Bodies split, events read: one broken event is one broken event."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger.api.errors import InvalidRequest, MalformedJson, NestedTooDeep
from ledger.errors import DomainError
from settlement.errors import BatchTooLarge
from settlement.metering import bodies
from settlement.metering.bodies import MAX_BATCH, split_body
from settlement.metering.decode import MAX_EVENT_BYTES, BadEvent, Report, WatermarkReport, decode_event, event_id_of
from settlement.metering.events import (
    AGGREGATE_TYPE,
    COMPLETED_TYPE,
    CORRECTION_TYPE,
    REFUSED_TYPE,
    STARTED_TYPE,
    WATERMARK_TYPE,
)

PAIR = {"contract": "C@1", "buyer": "ada", "provider": "acme"}
REQUEST = PAIR | {"request_id": "r", "accepted_at": "2026-12-01T14:00:00Z"}
SERVED = REQUEST | {"family": "tokenbourse", "usage": {"input": 1, "output": 2}}
ROOT = "ab" * 32


def event(data: Any = SERVED, event_type: str = COMPLETED_TYPE, **more: Any) -> dict[str, Any]:
    whole = {"specversion": "1.0", "type": event_type, "source": "m", "id": "e", "time": "2026-12-01T14:00:01Z"}
    return whole | {"data": data} | more


def read(value: object) -> Report:
    report = decode_event(json.dumps(value).encode())
    assert isinstance(report, Report)
    return report


def code_of(raw: bytes) -> str:
    with pytest.raises(BadEvent) as refused:
        decode_event(raw)
    assert refused.value.message
    return refused.value.code.value


SPLIT: list[tuple[bytes, list[bytes]]] = [
    (b'[{"a" : 1 } , 2.50,"x"]', [b'{"a" : 1 }', b"2.50", b'"x"']),
    (b' \r\n{"a": [1, 2]}\t', [b'{"a": [1, 2]}']),
    (b"[null]", [b"null"]),
    (b'[{"id": "\\ud800"}, {"id": "b"}]', [b'{"id": "\\ud800"}', b'{"id": "b"}']),
    (b' [ {"n": NaN} , {"id": "b"} ] ', [b'{"n": NaN}', b'{"id": "b"}']),
    (b'{"id": "\\ud800"}', [b'{"id": "\\ud800"}']),
    (b'[{"n": NaN}, {"id": "\xff\xc3\xa9"}]', [b'{"n": NaN}', b'{"id": "\xff\xc3\xa9"}']),
    (b'[{"id": "\xff"}]', [b'{"id": "\xff"}']),
]


@pytest.mark.parametrize(("body", "events"), SPLIT)
def test_a_body_is_split_into_its_events_as_they_came(
    body: bytes, events: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert split_body(body) == events
    monkeypatch.setattr(bodies, "_MANY_COMMAS", -1)
    assert [each.strip() for each in split_body(body)] == events


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b"", MalformedJson),
        (b"[", MalformedJson),
        (b"[1,]", MalformedJson),
        (b"[1 2]", MalformedJson),
        (b"[1]]", MalformedJson),
        (b'{"a":', MalformedJson),
        (b"{} {}", MalformedJson),
        (b"\xef\xbb\xbf[1]", MalformedJson),
        (b"\xff\xfe", MalformedJson),
        (b"[]", InvalidRequest),
        (b"[ ] ", InvalidRequest),
        (b"5", InvalidRequest),
        (b'"text"', InvalidRequest),
        (b"NaN", InvalidRequest),
        (b"[" * 100_000 + b"]" * 100_000, NestedTooDeep),
        (b'{"a":' * 100_000, NestedTooDeep),
        (b"[" + b"1," * MAX_BATCH + b"1]", BatchTooLarge),
        (b"[" + b"1," * 1_000_000 + b"1]", BatchTooLarge),
        (b"[" + b"NaN," * MAX_BATCH + b"1]", BatchTooLarge),
    ],
)
def test_what_holds_no_events_is_refused_as_a_whole(
    body: bytes, refusal: type[DomainError], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(refusal):
        split_body(body)
    monkeypatch.setattr(bodies, "_MANY_COMMAS", -1)
    with pytest.raises(refusal):
        split_body(body)


def test_every_type_of_event_is_read() -> None:
    served = read(event())
    assert (served.kind, served.source, served.event_id, served.request_id) == ("completed", "m", "e", "r")
    assert (served.accepted_at, served.event_time) == (
        datetime(2026, 12, 1, 14, tzinfo=UTC),
        datetime(2026, 12, 1, 14, 0, 1, tzinfo=UTC),
    )
    assert (served.family, served.usage, served.raw) == (
        "tokenbourse", {"input": 1, "output": 2}, b'{"input": 1, "output": 2}',
    )  # fmt: skip
    started = read(event(REQUEST | {"retry_of": "q"}, STARTED_TYPE))
    assert (started.kind, started.retry_of, started.family, started.raw) == ("started", "q", "", None)
    refused = read(event(SERVED | {"reason": "capacity"}, REFUSED_TYPE))
    assert (refused.kind, refused.refusal) == ("refused", "capacity")
    void = {"supersedes": "d", "why": "sent twice", "replacement": "void"}
    corrected = read(event(SERVED | void, CORRECTION_TYPE))
    assert (corrected.kind, corrected.supersedes, corrected.why, corrected.raw) == ("void", "d", "sent twice", None)
    corrected = read(event(SERVED | void | {"replacement": "refused", "reason": "failure"}, CORRECTION_TYPE))
    assert (corrected.kind, corrected.refusal, corrected.usage) == ("refused", "failure", {"input": 1, "output": 2})
    minute = PAIR | {"minute": "2026-12-01T14:00:00Z", "requests": 9, "records_root": ROOT}
    summed = read(event(minute | {"family": "tokenbourse", "usage": {"input": 1, "output": 2}}, AGGREGATE_TYPE))
    assert (summed.kind, summed.requests, summed.request_id, summed.records_root) == (
        "aggregate", 9, "", bytes.fromhex(ROOT),
    )  # fmt: skip
    told = {"contract": "C@1", "up_to": "2026-12-01T15:00:00Z", "sequence": 2, "events": 5, "root": ROOT}
    watermark = decode_event(json.dumps(event(told, WATERMARK_TYPE)).encode())
    assert isinstance(watermark, WatermarkReport)
    assert (watermark.sequence, watermark.events, watermark.root) == (2, 5, bytes.fromhex(ROOT))


UNREADABLE: list[Any] = [
    5,
    {},
    event(type="tokenbourse.usage.other.v1"),
    event(specversion="0.3"),
    event(id=""),
    event(id="x" * 121),
    event(source="x" * 81),
    event(id="new\nline"),
    event(SERVED | {"request_id": "\x85"}),
    event(SERVED | {"retry_of": "\x7f"}),
    event(SERVED | {"usage": {"note": "a\x00b"}}),
    event(SERVED | {"family": "x" * 33}),
    event(SERVED | {"accepted_at": "2026-12-01T14:00:00"}),
    event(SERVED | {"reason": "tired"}, REFUSED_TYPE),
    event(SERVED, REFUSED_TYPE),
    event(SERVED | {"supersedes": "d", "why": "", "replacement": "void"}, CORRECTION_TYPE),
    event(SERVED | {"supersedes": "d", "why": "x", "replacement": "started"}, CORRECTION_TYPE),
    event(SERVED | {"supersedes": "d", "why": "x", "replacement": "refused"}, CORRECTION_TYPE),
    event(REQUEST | {"supersedes": "d", "why": "x", "replacement": "completed"}, CORRECTION_TYPE),
    event({"contract": "C", "up_to": "now", "sequence": 1, "events": 0, "root": ROOT}, WATERMARK_TYPE),
    event(
        {"contract": "C", "up_to": "2026-12-01T15:00:00Z", "sequence": 1, "events": -1, "root": ROOT}, WATERMARK_TYPE
    ),
    event({"contract": "C", "up_to": "2026-12-01T15:00:00Z", "sequence": 1, "events": 0, "root": "AB"}, WATERMARK_TYPE),
    event(SERVED | {"usage": json.loads("[" * 20 + "]" * 20)}),
]


@pytest.mark.parametrize("value", UNREADABLE)
def test_what_is_no_event_is_told_so(value: Any) -> None:
    assert code_of(json.dumps(value).encode()) == "invalid_event"


@pytest.mark.parametrize("odd", ["\xff", "\\ud800", "NaN", "1e999", "9" * 5_000])
def test_what_json_does_not_have_concerns_its_event_alone(odd: str) -> None:
    quoted = odd if odd[0] in "N19" else f'"{odd}"'
    raw = json.dumps(event(SERVED | {"usage": {"n": "ODD"}})).replace('"ODD"', quoted).encode("latin-1")
    assert code_of(raw) == "invalid_event"


def test_an_event_has_a_largest_size() -> None:
    raw = json.dumps(event(SERVED | {"usage": {"note": ""}})).encode()
    note = b"x" * (MAX_EVENT_BYTES - len(raw))
    assert isinstance(decode_event(raw.replace(b'""', b'"' + note + b'"')), Report)
    assert code_of(raw.replace(b'""', b'"x' + note + b'"')) == "event_too_large"


def test_twenty_levels_are_not_too_deep() -> None:
    assert read(event(SERVED | {"usage": json.loads("[" * 18 + "]" * 18)})).raw == b"[" * 18 + b"]" * 18


TWICE = [
    ('"id": "e"', '"id": "e", "id": "e"'),
    ('"input": 1', '"input": 1, "input": 1'),
    ('"input": 1', '"input": 1, "inpu\\u0074": 1'),
    ('"id": "e"', '"id": "e\\u003a", "id": "e:"'),
    ('"usage": {', '"usage": {"a": {"b": 1, "b": [1]}, '),
    ('"specversion"', '"other": {"x": 1, "x": 2}, "specversion"'),
    ('"specversion"', '"traceparent": "a", "traceparent": "a", "specversion"'),
]


@pytest.mark.parametrize(("once", "twice"), TWICE)
@pytest.mark.parametrize("compact", [True, False])
def test_a_member_named_twice_is_found_wherever_it_is(once: str, twice: str, *, compact: bool) -> None:
    text = json.dumps(event())
    assert once in text
    text = text.replace(once, twice)
    raw = (text.replace(": ", ":").replace(", ", ",") if compact else text).encode()
    assert code_of(raw) == "duplicate_member"


def test_colons_and_escapes_in_texts_are_no_members() -> None:
    odd = event(SERVED | {"usage": {"a:b": "c::d", "quote": '"x": "x"', "é": "\u003a"}}, subject="a:b", other=["::"])
    assert read(odd).event_id == "e"
    assert decode_event(json.dumps(odd).replace("::", "\\u003a:").encode()).event_id == "e"


def test_the_hash_is_the_same_for_every_way_to_write_the_same_event() -> None:
    content = event(SERVED | {"usage": {"b": 1.5, "a": "é"}}, subject="s")
    del content["specversion"]
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    same = dict(reversed(event(SERVED | {"usage": {"a": "é", "b": 1.50}}, subject="s", traceparent="00").items()))
    for raw in (json.dumps(same, indent=3), json.dumps(same, ensure_ascii=False, separators=(",", ":"))):
        assert decode_event(raw.encode()).content_hash == hashlib.sha256(canonical).digest()
    for other in (event(subject="s"), event(subject="t"), event(subject="s", id="f"), event(subject="s", source="n")):
        assert read(other).content_hash != hashlib.sha256(canonical).digest()


def test_the_id_is_told_back_where_there_is_one() -> None:
    told = [
        (b'{"id": "a"}', "a"), (b'{"id": "\\ud800"}', "?"), (b'{"id": "a\\nb"}', ""), (b'{"id": 5}', ""), (b"5", ""),
        (b'{"id": "a", "n": ' + b"9" * 5_000 + b"}", "a"), (b"{", ""), (b'{"id": "' + b"x" * 200 + b'"}', "x" * 120),
        (b'{"a":' * 100_000, ""), (b'{"id": "\xff"}', ""),
    ]  # fmt: skip
    assert [event_id_of(raw) for raw, _ in told] == [event_id for _, event_id in told]


def test_timings_of_completed_requests_are_read_and_of_no_others() -> None:
    timed = SERVED | {"ttft_ms": 230, "output_ms": 86_400_000}
    correction = timed | {"supersedes": "e0", "why": "late"}
    for kind in (event(timed), event(correction | {"replacement": "completed"}, CORRECTION_TYPE)):
        assert (read(kind).ttft_ms, read(kind).output_ms) == (230, 86_400_000)
    alone = read(event(SERVED | {"ttft_ms": 0, "output_ms": None}))
    assert (alone.ttft_ms, alone.output_ms) == (0, None)
    refused = timed | {"reason": "capacity"}
    for kind in (
        event(refused, REFUSED_TYPE),
        event(refused | correction | {"replacement": "refused"}, CORRECTION_TYPE),
        event(correction | {"replacement": "void"}, CORRECTION_TYPE),
    ):
        assert (read(kind).ttft_ms, read(kind).output_ms) == (None, None)


@pytest.mark.parametrize("wrong", [-1, 86_400_001, 1.5, 230.0, "230", True, [230]])
def test_a_timing_is_a_whole_number_of_milliseconds_of_at_most_a_day(wrong: object) -> None:
    for name in ("ttft_ms", "output_ms"):
        assert code_of(json.dumps(event(SERVED | {name: wrong})).encode()) == "invalid_event"


def test_a_timing_is_part_of_what_an_event_says() -> None:
    assert read(event(SERVED | {"ttft_ms": 1})).content_hash != read(event(SERVED | {"ttft_ms": 2})).content_hash
