"""Lines of logs as events."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from settlement.metering.decode import Report, decode_event
from settlement.metering.events import Kind
from settlement.metering.families import extract
from settlement.metering.forward import envelopes
from settlement.metering.forward.envelopes import BadLine, LogForm, Prepared, prepare

SYMBOL = "QWEN3-235B.CN-EAST.STD@20261201T14/1H"
AT = 1_796_133_600  # 2026-12-01T14:00:00Z
FORM = LogForm(meter="meter/p", contract="QWEN3-235B.CN-EAST.STD/1H", buyer="buyer-1", provider="provider-1")
LINE = {"id": "chatcmpl-1", "created": AT, "model": "qwen3", "usage": {"prompt_tokens": 5}}
READY = {
    "specversion": "1.0",
    "type": "tokenbourse.usage.started.v1",
    "time": "2026-12-01T14:00:00Z",
    "data": {
        "contract": SYMBOL,
        "buyer": "b",
        "provider": "p",
        "request_id": "r",
        "accepted_at": "2026-12-01T14:00:00Z",
    },
}


def made(line: Any, form: LogForm = FORM) -> Prepared:
    return prepare(line if isinstance(line, bytes) else json.dumps(line).encode(), "file-7", form)


def data(line: Any, **form: Any) -> Any:
    return json.loads(made(line, msgspec.structs.replace(FORM, **form)).body)["data"]


def code(line: Any, **form: Any) -> str:
    with pytest.raises(BadLine) as caught:
        made(line, msgspec.structs.replace(FORM, **form))
    assert caught.value.message
    return caught.value.code


def test_a_log_line_is_a_completed_request() -> None:
    prepared = made(LINE)
    assert (prepared.event_id, prepared.contract, prepared.accepted_at) == ("file-7", SYMBOL, AT * 1_000_000)
    assert json.loads(prepared.body) == {
        "specversion": "1.0",
        "type": "tokenbourse.usage.completed.v1",
        "source": "meter/p",
        "id": "file-7",
        "time": "2026-12-01T14:00:00Z",
        "data": {
            "contract": SYMBOL,
            "buyer": "buyer-1",
            "provider": "provider-1",
            "request_id": "chatcmpl-1",
            "accepted_at": "2026-12-01T14:00:00Z",
            "family": "openai_chat",
            "usage": {"prompt_tokens": 5},
        },
    }


def test_timings_are_passed_on_for_completed_requests_alone() -> None:
    timed = LINE | {"ttft_ms": 230, "output_ms": 4_100}
    assert (data(timed)["ttft_ms"], data(timed)["output_ms"]) == (230, 4_100)
    assert {"ttft_ms", "output_ms"}.isdisjoint(data(LINE | {"ttft_ms": None}))
    assert {"ttft_ms", "output_ms"}.isdisjoint(data(timed | {"refusal": "capacity"}))
    assert code(LINE | {"ttft_ms": 1.5}) == "invalid_event"


def test_the_usage_is_kept_byte_for_byte() -> None:
    usage = b'{ "prompt_tokens":1e3,  "x" : 12345678901234567890123, "prompt_tokens_details":null }'
    assert usage in made(b'{"id":"a","created":%d,"usage":%b}' % (AT, usage)).body


def test_a_null_usage_is_sent_for_the_exchange_to_see() -> None:
    assert data(LINE | {"usage": None})["usage"] is None


def test_a_refusal_is_a_refused_request() -> None:
    event = json.loads(made(LINE | {"refusal": "capacity", "retry_of": "r0"}).body)
    assert event["type"] == "tokenbourse.usage.refused.v1"
    assert (event["data"]["reason"], event["data"]["retry_of"]) == ("capacity", "r0")


@pytest.mark.parametrize(
    ("said", "family"),
    [
        ({}, "openai_chat"),
        ({"object": "chat.completion"}, "openai_chat"),
        ({"object": "response"}, "openai_responses"),
        ({"type": "message"}, "anthropic_messages"),
        ({"object": ["?"]}, "openai_chat"),
    ],
)
def test_the_family_is_told_by_the_form(said: dict[str, Any], family: str) -> None:
    assert data(LINE | said)["family"] == family
    assert data(LINE | said, family="gemini")["family"] == "gemini"


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (AT, "2026-12-01T14:00:00Z"),
        (f"{AT}.25", "2026-12-01T14:00:00.250000Z"),
        (f"{AT}.1234569", "2026-12-01T14:00:00.123456Z"),
        ('"2026-12-01T22:00:00+08:00"', "2026-12-01T14:00:00Z"),
        ("1e99", None),
        ("NaN", None),
        ("true", None),
        ("null", None),
        ('"2026-12-01T14:00:00"', None),
        ('"yesterday"', None),
        ("-99999999999999", None),
    ],
)
def test_times_are_seconds_or_texts_with_an_offset(value: str, at: str | None) -> None:
    line = f'{{"id": "a", "created": {value}, "usage": {{}}}}'.encode()
    if at is None:
        assert code(line) in {"no_time", "unreadable_line"}
    else:
        assert data(line)["accepted_at"] == at


def test_contracts_come_by_model_product_window_or_member() -> None:
    assert data(LINE, contract=SYMBOL)["contract"] == SYMBOL
    assert data(LINE, contracts={"qwen3": "OTHER/1D"})["contract"] == "OTHER@20261201T00/1D"
    assert data(LINE | {"meta": {"c": "OTHER/10MIN"}}, contract="@meta.c")["contract"] == "OTHER@20261201T1400/10MIN"
    assert code(LINE, contract=None) == "unmapped_model"
    assert code(LINE, contract=None, contracts={"gpt": "OTHER/1H"}) == "unmapped_model"
    assert code(LINE | {"c": "no symbol"}, contract="@c") == "no_contract"


def test_parties_and_ids_come_from_members() -> None:
    line = LINE | {"request_id": "r", "meta": {"buyer": "b", "x": 1}}
    assert data(line, buyer="@meta.buyer")["buyer"] == "b"
    assert data(line)["request_id"] == "r"
    assert data(line, request_id="@id")["request_id"] == "chatcmpl-1"
    assert code(line, buyer="@meta.x") == "no_buyer"
    assert code(line, provider="@meta.x.y.z") == "no_provider"
    assert code(line, provider=None) == "no_provider"
    assert code({"created": AT, "usage": {}}) == "no_request_id"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "unreadable_line"),
        (b"[1]", "unreadable_line"),
        (b"\xff", "unreadable_line"),
        (b'{"id":"\\ud800","usage":{}}', "unreadable_line"),
        (b"[" * 100_000, "unreadable_line"),
        ({"level": "info", "message": "started"}, "not_usage"),
        (LINE | {"id": "x\u0000"}, "invalid_event"),
        (LINE | {"id": "x" * 121}, "invalid_event"),
        (LINE | {"refusal": "tired"}, "invalid_event"),
        (LINE | {"usage": {"x": "y" * 20_000}}, "event_too_large"),
        (b'{"id":"a","created":%d,"usage":{"a":1,"a":2}}' % AT, "duplicate_member"),
    ],
)
def test_a_bad_line_says_what_is_wrong(line: Any, said: str) -> None:
    assert code(line) == said


def test_a_ready_event_stays_as_it_is() -> None:
    line = json.dumps(READY | {"id": "mine", "source": "meter/x"}, indent=1).replace("\n", " ").encode()
    assert made(line) == Prepared("mine", SYMBOL, AT * 1_000_000, line)


def test_a_ready_event_gets_the_id_and_meter_it_lacks() -> None:
    event = json.loads(made(READY).body)
    assert event == READY | {"id": "file-7", "source": "meter/p"}
    assert made(READY | {"id": "mine"}).event_id == "mine"


def test_a_ready_watermark_counts_nowhere() -> None:
    told = {"contract": SYMBOL, "up_to": READY["time"], "sequence": 1, "events": 0, "root": "0" * 64}
    prepared = made(READY | {"type": "tokenbourse.usage.watermark.v1", "data": told})
    assert prepared.accepted_at is None


def test_the_examples_of_lines_make_events() -> None:
    text = Path(envelopes.__file__).with_name("FORWARD.md").read_text(encoding="utf-8")
    refusal, correction = (
        decode_event(made(json.loads(line)).body) for line in re.findall(r"```json\n(.*?)\n```", text)
    )
    assert isinstance(refusal, Report)
    assert isinstance(correction, Report)
    assert (refusal.kind, correction.kind) == (Kind.REFUSED, Kind.COMPLETED)
    for report in (refusal, correction):
        assert extract(report.family, report.usage).reason is None
    assert correction.supersedes


def test_the_command_needs_neither_django_nor_a_database() -> None:
    script = (
        "import sys, settlement.metering.forward.__main__;"
        "print({name.partition('.')[0] for name in sys.modules} & {'django', 'rest_framework', 'celery', 'psycopg'})"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"
