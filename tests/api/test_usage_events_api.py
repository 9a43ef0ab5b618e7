"""Usage events in over REST: plain, gzipped, signed, and what is refused before any event is looked at."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.models import Party
from ledger.parties.keys import Scope
from settlement.api.parsers import BODY_BYTES_MAX
from settlement.commands.register_meter_key import RegisterMeterKey, register_meter_key
from settlement.metering.signatures import sign, thumbprint
from settlement.models import Meter, SignedBatch, UsageBatch, UsageEvent
from tests.api.client import Answer, Api
from tests.api.live_market import MarketClock, api_of
from tests.integration.settlement.trading_day import ACTOR, NOW, SYMBOL, TradingDay, requests, usage

BATCH = "application/cloudevents-batch+json"
PATH = "/api/v1/usage-events"


@pytest.fixture
def day(stopped_clock: None) -> TradingDay:
    clock: Any = MarketClock()
    return TradingDay(clock)


def send(api: Api, events: object, content_type: str = BATCH) -> Answer:
    return api.call("POST", "usage-events", json.dumps(events).encode(), content_type=content_type)


def statuses(answer: Answer) -> list[tuple[str, str]]:
    return [(item["status"], item["code"]) for item in answer.ok()["items"]]


def meter_of(party: Party) -> Api:
    return api_of(party, Scope.METER)


class SlowBody(io.BytesIO):
    """A body that takes ten minutes to come."""

    def __init__(self, day: TradingDay, body: bytes) -> None:
        super().__init__(body)
        self.day = day

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() == 0:
            self.day.clock.at += timedelta(minutes=10)
        return super().read(size)


def test_a_call_was_received_when_its_body_was_there(day: TradingDay) -> None:
    """A slow sender could else tell of an instant before a ruling or a run what it sends after it."""
    day.deliver()
    began, api = day.clock.at, meter_of(day.parties["provider-1"])
    body = json.dumps(usage("a", 100)).encode()
    headers = {"authorization": f"Bearer {api.key}"}
    slow: dict[str, Any] = {"wsgi.input": SlowBody(day, body)}
    answer = api.client.post(PATH, body, "application/cloudevents+json", headers=headers, **slow)
    assert answer.status_code == 200, answer.content
    assert UsageEvent.objects.get().received_at == began + timedelta(minutes=10)


def test_events_come_one_by_one_or_in_a_list_and_are_answered_each(day: TradingDay) -> None:
    day.deliver()
    api = meter_of(day.parties["provider-1"])
    one, two, three = requests(3_000)
    accepted, duplicate = [("accepted", "accepted")], [("duplicate", "duplicate")]
    assert statuses(send(api, one, "application/cloudevents+json")) == accepted
    assert statuses(send(api, [one, two], "application/json; charset=utf-8")) == duplicate + accepted
    broken = [one, "nonsense", usage("x", 5, buyer="nobody"), three | {"id": "\ud800"}, three]
    answer = send(api, broken)
    assert statuses(answer) == [
        *duplicate,
        ("rejected", "invalid_event"),
        ("rejected", "unknown_party"),
        ("rejected", "invalid_event"),
        *accepted,
    ]
    assert [item["id"] for item in answer.ok()["items"]] == ["r0", "", "x", "?", "r2"]
    assert UsageEvent.objects.count() == 3


def test_usage_may_hold_what_providers_write_into_it(day: TradingDay) -> None:
    day.deliver()
    event = usage("r", 5, family="openai_chat")
    event["data"]["usage"] = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "cost": 0.00012}
    assert statuses(send(meter_of(day.parties["provider-1"]), [event])) == [("accepted", "accepted")]
    assert json.loads(bytes(UsageEvent.objects.get().raw or b""))["cost"] == 0.00012


def test_a_list_that_cannot_be_read_is_refused_as_a_whole(day: TradingDay) -> None:
    api = meter_of(day.parties["provider-1"])
    for body, status, code in (
        (b"", 400, "malformed_json"),
        (b"[", 400, "malformed_json"),
        (b"[]", 400, "invalid_request"),
        (b"5", 400, "invalid_request"),
        (b"[" * 100_000, 400, "nested_too_deep"),
        (b"[" + b"1," * 10_000 + b"1]", 413, "batch_too_large"),
        (b'["' + b"x" * 10 * 1024 * 1024 + b'"]', 413, "body_too_large"),
    ):
        api.call("POST", "usage-events", body, content_type=BATCH).problem(status, code)
    api.call("POST", "usage-events", b"[]", content_type="text/csv").problem(415, "unsupported_media_type")
    assert (UsageEvent.objects.count(), UsageBatch.objects.count()) == (0, 0)


def test_only_a_meters_own_key_reports_for_it(day: TradingDay) -> None:
    day.deliver()
    event = usage("r", 1_000)
    send(Api(), [event]).problem(401, "not_authenticated")
    send(api_of(day.parties["provider-1"], Scope.READ), [event]).problem(403, "not_allowed")
    assert statuses(send(meter_of(day.parties["provider-2"]), [event])) == [("rejected", "unknown_meter")]
    assert UsageEvent.objects.count() == 0


def test_usage_without_a_position_is_kept_and_moves_no_money(day: TradingDay) -> None:
    day.deliver()
    before = api_of(day.parties["buyer-1"]).get("balances").ok()
    assert statuses(send(meter_of(day.parties["provider-1"]), [usage("r", 1_000, symbol=SYMBOL)])) == [
        ("accepted", "accepted")
    ]
    day.settle()
    assert api_of(day.parties["buyer-1"]).get("balances").ok() == before


def packed(api: Api, body: bytes, encoding: str = "gzip", **headers: str) -> Answer:
    return api.call("POST", "usage-events", body, content_type=BATCH, headers={"content-encoding": encoding} | headers)


def test_a_body_may_be_gzipped(day: TradingDay) -> None:
    day.deliver()
    api = meter_of(day.parties["provider-1"])
    body = json.dumps(requests(3_000)).encode()
    assert statuses(packed(api, gzip.compress(body))) == [("accepted", "accepted")] * 3
    in_two = gzip.compress(body[:100]) + gzip.compress(body[100:])
    assert statuses(packed(api, in_two, "GZIP")) == [("duplicate", "duplicate")] * 3
    assert statuses(packed(api, body, "identity")) == [("duplicate", "duplicate")] * 3
    assert bytes(UsageBatch.objects.order_by("id")[1].body_digest) == hashlib.sha256(in_two).digest()


def test_a_gzipped_body_that_is_none_or_has_no_end_is_refused(day: TradingDay) -> None:
    api = meter_of(day.parties["provider-1"])
    body = gzip.compress(json.dumps(requests(3_000)).encode())
    flipped = body[:40] + bytes([body[40] ^ 255]) + body[41:]
    for bad in (b"[]", body[:-9], body[:-1], flipped, body + b"x", body[:-8] + bytes(8), gzip.compress(b"") * 17):
        packed(api, bad).problem(400, "malformed_gzip")
    for encoding in ("br", "deflate", "gzip, gzip", "x-gzip"):
        packed(api, body, encoding).problem(415, "unsupported_media_type")
    assert UsageBatch.objects.count() == 0


def test_a_bomb_is_left_off_at_the_limit(day: TradingDay) -> None:
    api = meter_of(day.parties["provider-1"])
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join([packer.compress(bytes(2**20)) for _ in range(300)]) + packer.flush()
    assert len(bomb) < 400_000
    packed(api, bomb).problem(413, "body_too_large")
    exact = gzip.compress(b" " * (BODY_BYTES_MAX - 2) + b"[]")
    packed(api, exact).problem(400, "invalid_request")
    packed(api, gzip.compress(b" " * (BODY_BYTES_MAX - 1) + b"[]")).problem(413, "body_too_large")


def test_a_body_that_says_it_is_too_large_is_not_read(day: TradingDay) -> None:
    api = meter_of(day.parties["provider-1"])

    class Unread:
        """A stream that must not be read."""

        def read(self, *_: int) -> bytes:
            raise AssertionError("the body was read")

        readline = read

    response = api.client.post(
        PATH,
        content_type=BATCH,
        headers={"authorization": f"Bearer {api.key}"},
        **{"wsgi.input": Unread(), "CONTENT_LENGTH": str(100 * 2**20)},  # type: ignore[arg-type]  # any of WSGI's own
    )
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


def test_a_signed_call_leaves_its_evidence(day: TradingDay) -> None:
    day.deliver()
    api = meter_of(day.parties["provider-1"])
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = private.public_key().public_bytes_raw()
    register_meter_key(RegisterMeterKey(Meter.objects.get(code="meter/provider-1").pk, public), actor=ACTOR, now=NOW)
    body = gzip.compress(json.dumps([usage("r1", 5), usage("r2", 6) | {"source": "meter/other"}]).encode())
    created = int(day.clock.at.timestamp())
    headers = sign(private, key_id=thumbprint(public), path=PATH, content_type=BATCH, body=body, created=created)
    packed(api, body[:-1], **headers).problem(401, "invalid_signature")
    packed(api, body, **headers | {"signature": f"sig1=:{'A' * 86}==:"}).problem(401, "invalid_signature")
    assert UsageBatch.objects.count() == 0
    assert statuses(packed(api, body, **headers)) == [("accepted", "accepted"), ("rejected", "unknown_meter")]
    kept = SignedBatch.objects.get()
    assert (bytes(kept.body), kept.batch_id, kept.content_encoding) == (body, UsageBatch.objects.get().id, "gzip")
