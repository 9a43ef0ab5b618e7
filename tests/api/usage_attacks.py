"""Everything that can be wrong with reported usage, and what becomes of it: one table, which the documentation repeats.

A row's answer is that to the last event of its call, all others being accepted; or the problem that the whole call is.
"""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from settlement.metering.events import REFUSED_TYPE
from tests.api.usage_calls import (
    AT,
    NOW,
    Call,
    Make,
    aggregate,
    at,
    call,
    correction,
    data,
    event,
    read_as,
    spelt,
    started,
    watermark,
)
from tests.integration.settlement.trading_day import END, START

MIB = 2**20
MINUTE = timedelta(minutes=1)
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32))
_SPACES = b" " * (10 * MIB)


class Row(NamedTuple):
    """What comes, the status of the item or of HTTP, the code, and how the call is made."""

    what: str
    status: str | int
    code: str
    make: Make


def counts(what: str, code: str, family: str, **usage: object) -> Row:
    """A usage object that is kept aside."""
    return Row(what, "quarantined", code, lambda id: call(read_as(id, family, usage)))


def aside(what: str, code: str, make: Make) -> Row:
    return Row(what, "quarantined", code, make)


def rejected(what: str, code: str, make: Make) -> Row:
    return Row(what, "rejected", code, make)


def accepted(what: str, make: Make) -> Row:
    return Row(what, "accepted", "accepted", make)


COUNTS = (
    counts("a negative count", "negative_count", "openai_chat", prompt_tokens=-1, completion_tokens=2, total_tokens=1),
    counts("a fraction", "invalid_count", "tokenbourse", input=1.5, output=0),
    counts("a whole number written as a fraction, `100.0`", "invalid_count", "tokenbourse", input=100.0, output=0),
    counts("a count as a text, or true", "invalid_count", "tokenbourse", input="100", output=True),
    counts("a count above 10¹²", "count_out_of_range", "tokenbourse", input=10**12 + 1, output=0),
    counts("a count of forty digits", "count_out_of_range", "tokenbourse", input=10**40, output=0),
    counts("counts that weigh more than 10¹² thousandths of a contract token", "count_out_of_range", "tokenbourse",
           input=10**10, output=0),
    counts("a count that is missing", "missing_count", "openai_chat", prompt_tokens=5),
    aside("no usage object, or null", "no_usage", lambda id: call(data(id, usage=None))),
    aside("a usage object that is a list or a text", "malformed", lambda id: call(read_as(id, "openai_chat", [1, 2]))),
    counts("a total less than its parts", "total_mismatch", "openai_chat", prompt_tokens=5, completion_tokens=5,
           total_tokens=9),
    counts("a total more than its parts", "unexplained_tokens", "openai_chat", prompt_tokens=5, completion_tokens=5,
           total_tokens=11),
    counts("more cached or reasoning tokens than there are in all", "parts_exceed_whole", "openai_chat",
           prompt_tokens=5, completion_tokens=5, total_tokens=10, prompt_tokens_details={"cached_tokens": 6}),
    counts("two members that state the same count differently", "contradictory_counts", "deepseek", prompt_tokens=10,
           prompt_cache_hit_tokens=4, prompt_cache_miss_tokens=5, completion_tokens=1, total_tokens=11),
    counts("tokens of another model than the contract's in the same answer", "other_model", "anthropic_messages",
           input_tokens=10, output_tokens=5,
           iterations=[{"type": "message", "input_tokens": 10, "output_tokens": 5},
                       {"type": "advisor_message", "input_tokens": 7, "output_tokens": 7}]),
    counts("an unknown family", "unknown_family", "nobody_knows", input=1, output=1),
    counts("the object of another family", "wrong_family", "openai_chat", input_tokens=5, output_tokens=5,
           prompt_tokens=5, completion_tokens=5, total_tokens=10),
    rejected("NaN, or a number beyond all range such as `1e999`", "invalid_event",
             lambda id: spelt(read_as(id, "tokenbourse", {"input": 12321, "output": 0}), "12321", "NaN")),
)  # fmt: skip
WHOSE = (
    rejected("an unknown contract", "unknown_contract", lambda id: call(data(id, contract="NO-SUCH@20261201T14/1H"))),
    rejected("an unknown buyer or provider", "unknown_party", lambda id: call(data(id, buyer="nobody"))),
    rejected("an unknown meter", "unknown_meter", lambda id: call(event(id, source="meter/nobody"))),
    rejected("another party's meter", "unknown_meter", lambda id: call(event(id, source="meter/provider-2"))),
    rejected("one's own meter on usage of others", "not_your_usage", lambda id: call(data(id, provider="provider-2"))),
    aside("a product that does not weigh every kind of token", "no_weights",
          lambda id: call(data(id, contract="BARE-MODEL.CN-EAST.STD@20261201T14/1H"))),
    Row("no API key", 401, "not_authenticated", lambda id: call(event(id), party="")),
    Row("an API key that may not report", 403, "not_allowed", lambda id: call(event(id), scope="read")),
    rejected("an unsigned event of a meter that signs", "signature_required",
             lambda id: call(event(id, source="meter/provider-1b"))),
    rejected("an event of another meter in a signed call", "not_signed_by_meter",
             lambda id: call(event(id, source="meter/provider-1b")).signed()),
    Row("a signature that does not fit, of an unknown key, or another party's", 401, "invalid_signature",
        lambda id: call(event(id)).signed(by=STRANGER)),
    Row("a signature made more than five minutes before or after now", 401, "invalid_signature",
        lambda id: call(event(id)).signed(created=NOW - 6 * MINUTE)),
)  # fmt: skip
TIMES = (
    accepted("an offset such as `+08:00`", lambda id: call(at(id, "2026-12-01T22:00:30+08:00"))),
    accepted("a fraction of seven digits or more: cut, never rounded up",
             lambda id: call(at(id, "2026-12-01T14:00:30.99999999999Z"))),
    accepted("second 60, on any minute: the last microsecond before it",
             lambda id: call(at(id, "2026-12-01T14:00:60Z"))),
    accepted("`t` and `z` in small letters", lambda id: call(at(id, "2026-12-01t14:00:30z"))),
    accepted("a clock up to five minutes ahead", lambda id: call(at(id, NOW + 5 * MINUTE))),
    aside("a clock further ahead", "in_future", lambda id: call(at(id, NOW + 5 * MINUTE + timedelta(microseconds=1)))),
    aside("an event more than 35 days back", "too_old",
          lambda id: call(at(id, AT, NOW - timedelta(days=35, microseconds=1)))),
    aside("`accepted_at` outside the contract's window", "outside_window",
          lambda id: call(at(id, START - timedelta(microseconds=1)))),
    rejected("no offset", "invalid_event", lambda id: call(at(id, "2026-12-01T14:00:30"))),
    rejected("a date alone, a number, an hour 24", "invalid_event", lambda id: call(at(id, "2026-12-01"))),
    rejected("beyond the years 1 to 9999 in UTC", "invalid_event",
             lambda id: call(at(id, "0001-01-01T00:00:00+08:00"))),
    rejected("no `time` or no `accepted_at`", "invalid_event", lambda id: call(event(id, time=None))),
)  # fmt: skip
TEXT = (
    rejected("an object that names a member twice, wherever it is", "duplicate_member",
             lambda id: spelt(event(id), '"input": 100', '"input": 100, "input": 1')),
    rejected("the same written with escapes", "duplicate_member",
             lambda id: spelt(event(id), '"input": 100', '"input": 100, "\\u0069nput": 1')),
    rejected("more than 20 levels", "invalid_event",
             lambda id: call(event(id) | {"ext": json.loads("[" * 20 + "]" * 20)})),
    Row("a body of 100,000 levels", 400, "nested_too_deep", lambda _: Call(b"[" * 100_000 + b"]" * 100_000)),
    rejected("more than 16,384 bytes in an event", "event_too_large", lambda id: call(event(id, subject="x" * 16_384))),
    rejected("NUL or another control character in an id", "invalid_event", lambda id: call(event(f"{id}\0"))),
    rejected("half a character (`\\ud800`)", "invalid_event",
             lambda id: spelt(event(id, subject="half"), '"half"', '"\\ud800"')),
    rejected("an id of more than 120 characters", "invalid_event", lambda id: call(event(id.ljust(121, "x")))),
    rejected("a request id that begins with `minute/`, as summed minutes are called", "invalid_event",
             lambda id: call(data(id, request_id="minute/2026-12-01T14:09Z"))),
    rejected("a member that is missing or of another type", "invalid_event",
             lambda id: call(data(id, buyer=["buyer-1"]))),
    rejected("another type of event or version of CloudEvents", "invalid_event",
             lambda id: call(event(id, type="tokenbourse.usage.finished.v1"))),
    rejected("an element that is not an event", "invalid_event",
             lambda id: Call(f'[{json.dumps(event(id))},"x"]'.encode())),
    Row("an empty list, or neither a list nor an object", 400, "invalid_request", lambda _: Call(b"[]")),
    Row("JSON that breaks off", 400, "malformed_json", lambda id: Call(json.dumps([event(id)]).encode()[:-1])),
    rejected("an event whose bytes are not UTF-8", "invalid_event", lambda _: Call(b'[{"id":"\xff"}]')),
)  # fmt: skip
BODIES = (
    Row("more than 10,000 events", 413, "batch_too_large", lambda _: Call(b"[" + b"{}," * 10_000 + b"{}]")),
    Row("a body of 100 MB: refused by its Content-Length, unread", 413, "body_too_large",
        lambda _: Call(_SPACES * 10)),
    Row("a gzip bomb: unpacked to the limit and no further", 413, "body_too_large",
        lambda _: Call(gzip.compress(_SPACES * 10), headers={"content-encoding": "gzip"})),
    Row("gzip that breaks off, or is none", 400, "malformed_gzip",
        lambda id: Call(gzip.compress(call(event(id)).body)[:-9], headers={"content-encoding": "gzip"})),
    accepted("gzip of one member or several",
             lambda id: Call(gzip.compress(call(event(id)).body), headers={"content-encoding": "gzip"})),
    Row("another Content-Encoding", 415, "unsupported_media_type",
        lambda id: call(event(id), headers={"content-encoding": "br"})),
    Row("another media type", 415, "unsupported_media_type", lambda id: call(event(id), content_type="text/plain")),
    Row("no Content-Length", 411, "body_length_missing", lambda _: Call(b"", headers={"transfer-encoding": "chunked"})),
)  # fmt: skip
AGAIN = (
    Row("the same event again, in the same call or another", "duplicate", "duplicate",
        lambda id: call(event(id), event(id))),
    Row("the same event in another spelling, or with other tracing members", "duplicate", "duplicate",
        lambda id: call(event(id), dict(reversed(event(id).items())) | {"traceparent": "00-1"})),
    Row("the same id with other content: the first stands, this one is kept as evidence", "conflict", "conflict",
        lambda id: call(event(id), event(id, subject="other"))),
    Row("the same id for another request of another pair", "conflict", "conflict",
        lambda id: call(event(id), data(id, request_id="other", buyer="buyer-2"))),
)  # fmt: skip
CORRECTIONS = (
    accepted("a correction of an event, also of one kept aside; both stay visible",
             lambda id: call(event(id), correction(f"{id}-c", id))),
    accepted("a correction of the latest correction",
             lambda id: call(event(id), correction(f"{id}-c", id), correction(f"{id}-d", f"{id}-c", request_id=id))),
    aside("a correction of an event that is not known", "supersedes_unknown",
          lambda id: call(correction(id, f"{id}-never"))),
    aside("a correction of an event that is corrected already", "supersedes_corrected",
          lambda id: call(event(id), correction(f"{id}-c", id), correction(f"{id}-d", id))),
    aside("a correction that names another request, contract or party", "supersedes_other_request",
          lambda id: call(event(id), correction(f"{id}-c", id, request_id="other"))),
    rejected("a correction without a reason", "invalid_event", lambda id: call(correction(id, "x", why=""))),
)  # fmt: skip
TIMINGS = (
    accepted("both timings, either alone, null, or none", lambda id: call(data(id, ttft_ms=230, output_ms=4_100))),
    accepted("a timing of a refused request, which has none: not looked at",
             lambda id: call(data(id, reason="capacity", ttft_ms=-1) | {"type": REFUSED_TYPE})),
    rejected("a timing below 0, or above a day", "invalid_event", lambda id: call(data(id, output_ms=86_400_001))),
    rejected("a timing with a fraction, as a text, or true", "invalid_event", lambda id: call(data(id, ttft_ms=1.5))),
    Row("the same event again with another timing", "conflict", "conflict",
        lambda id: call(data(id, ttft_ms=230), data(id, ttft_ms=231))),
    accepted("a correction of the timings alone",
             lambda id: call(data(id, ttft_ms=230), correction(f"{id}-c", id, ttft_ms=231, output_ms=4_100))),
)  # fmt: skip
OTHERS = (
    accepted("a start without an end: a finding of reconciliation, it moves no money", lambda id: call(started(id))),
    rejected("a refusal for a reason that is not known", "invalid_event",
             lambda id: call(data(id, reason="lunch") | {"type": REFUSED_TYPE})),
    aside("an aggregate in an unsigned call", "aggregate_not_signed", lambda id: call(aggregate(id))),
    aside("an aggregate that begins within a minute", "aggregate_not_a_minute",
          lambda id: call(aggregate(id, minute=AT.isoformat())).signed()),
    rejected("an aggregate of no requests, or more than a million", "invalid_event",
             lambda id: call(aggregate(id, requests=0)).signed()),
    rejected("a watermark whose sequence is below 1", "watermark_out_of_order", lambda id: call(watermark(id, 0, NOW))),
    rejected("a watermark whose sequence came before under another id", "watermark_out_of_order",
             lambda id: call(watermark(id, 1, START), watermark(f"{id}-b", 1, START))),
    rejected("a watermark that goes back in time", "watermark_out_of_order",
             lambda id: call(watermark(id, 7, NOW), watermark(f"{id}-b", 8, START))),
    rejected("a watermark of the future", "watermark_out_of_order", lambda id: call(watermark(id, 9, END))),
)  # fmt: skip
SECTIONS = {
    "Counts": COUNTS,
    "Who": WHOSE,
    "Times": TIMES,
    "Text": TEXT,
    "Bodies": BODIES,
    "The same again": AGAIN,
    "Corrections": CORRECTIONS,
    "Timings": TIMINGS,
    "Starts, refusals, aggregates, watermarks": OTHERS,
}
# Once the contract's last run has begun.
TOO_LATE = aside("usage after the last settlement run has begun", "after_final_run", lambda id: call(event(id)))
