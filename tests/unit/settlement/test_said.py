"""The words of events are put together again from what is stored of them, and told only if they come to the hash."""

from __future__ import annotations

import json
from typing import Any

import pytest

from settlement.bundles.said import StoredEvent, Words
from settlement.metering.decode import Report, decode_event
from settlement.recompute.event_checks import as_sent

DATA = {
    "contract": "QWEN3-235B.CN-EAST.STD@20261201T14/1H",
    "buyer": "buyer-1",
    "provider": "provider-1",
    "request_id": "r1",
    "accepted_at": "2026-12-01T14:00:01Z",
}
USED = {"family": "tokenbourse", "usage": {"output": 3, "input": 5}}
CORRECTED = {"supersedes": "e0", "why": "counted twice"}
EVENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "started": ("started", DATA),
    "retried": ("completed", DATA | USED | {"retry_of": "r0"}),
    "timed": ("completed", DATA | USED | {"ttft_ms": 200, "output_ms": 900}),
    "refused": ("refused", DATA | USED | {"reason": "capacity"}),
    "corrected": ("correction", DATA | USED | CORRECTED | {"replacement": "completed", "ttft_ms": 0}),
    "void": ("correction", DATA | CORRECTED | {"replacement": "void"}),
    "aggregate": (
        "aggregate",
        {name: DATA[name] for name in ("contract", "buyer", "provider")}
        | USED
        | {"minute": "2026-12-01T14:00:00Z", "requests": 7, "records_root": "ab" * 32},
    ),
}


def event(kind: str, data: dict[str, Any], **members: Any) -> bytes:
    envelope = {"source": "meter/provider-1", "id": "e1", "time": "2026-12-01T14:00:09Z", "data": data}
    named = {"specversion": "1.0", "type": f"tokenbourse.usage.{kind}.v1", **envelope, **members}
    return json.dumps(named, indent=1).encode()


def found(raw: bytes) -> tuple[str, Report]:
    """The words that are found of an event from what is stored of it."""
    report = decode_event(raw)
    assert isinstance(report, Report)
    names: Any = {name: getattr(report, name, None) for name in StoredEvent.__dataclass_fields__}
    words = Words()
    for _ in range(2):  # the second time as the meter wrote before
        said = words.find(StoredEvent(**names), report.content_hash.hex())
    return said, report


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2026-12-01T14:00:09Z", "2026-12-01T14:00:01Z"),
        ("2026-12-01T14:00:09+00:00", "2026-12-01T14:00:00+00:00"),
        ("2026-12-01T14:00:09.120Z", "2026-12-01T14:00:01.000Z"),
        ("2026-12-01T14:00:09.120345Z", "2026-12-01T14:00:01.000000Z"),
    ],
)
@pytest.mark.parametrize("subject", [{}, {"subject": "e1"}])
def test_words_in_a_usual_form_are_found(name: str, first: str, second: str, subject: dict[str, str]) -> None:
    kind, data = EVENTS[name]
    moment = "minute" if kind == "aggregate" else "accepted_at"
    said, report = found(event(kind, data | {moment: second}, time=first, **subject))
    again = decode_event(as_sent(said))
    assert isinstance(again, Report)
    assert again.content_hash == report.content_hash
    assert (again.usage, again.accepted_at, again.kind) == (report.usage, report.accepted_at, report.kind)


@pytest.mark.parametrize(
    "raw",
    [
        event("completed", DATA | USED | {"retry_of": None}),
        event("completed", DATA | USED | {"model": "qwen3"}),
        event("completed", DATA | USED | {"accepted_at": "2026-12-01T22:00:01+08:00"}),
        event("completed", DATA | USED, subject="something else"),
    ],
)
def test_words_in_a_form_of_their_own_are_not_guessed(raw: bytes) -> None:
    assert found(raw)[0] == ""
