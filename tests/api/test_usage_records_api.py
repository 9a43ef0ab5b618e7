"""Single usage events and the calls they came in, over REST: who sees which, and from when on."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.models import PartyKind
from ledger.parties.commands import register_party
from ledger.parties.keys import Scope
from settlement.commands.register_meter import RegisterMeter, register_meter
from settlement.metering.buckets import Bucket
from settlement.metering.signatures import base64url, sign, thumbprint
from settlement.metering.verify_call import verify_call
from settlement.models import MeterSide, UsageBatch, UsageEvent, UsageSupersession
from tests.api.client import Api
from tests.api.live_market import MarketClock, api_of
from tests.integration.settlement.trading_day import ACTOR, END, NOW, START, SYMBOL, TradingDay, usage

FIELDS = {
    "id", "call", "place", "meter", "side", "kind", "contract", "buyer", "provider", "request_id", "retry_of",
    "accepted_at", "event_time", "received_at", "signed", "tokens", "contract_millitokens", "requests",
    "refusal_reason", "quarantine_reason", "supersedes", "why", "superseded_by", "family", "adapter_version", "usage",
    "content_hash",
}  # fmt: skip


@pytest.fixture
def day(stopped_clock: None) -> TradingDay:
    clock: Any = MarketClock()
    return TradingDay(clock)


def tell(day: TradingDay, party: str, *events: dict[str, Any]) -> None:
    day.report(party, [event | {"source": f"meter/{party}"} for event in events])


def records(api: Api, **query: str) -> list[tuple[str, str]]:
    """Who said what: (meter, event id)."""
    return [(item["meter"], item["id"]) for item in api.get("usage-records", query).ok()["items"]]


def auditor() -> Api:
    party = register_party("auditor", "Auditor", PartyKind.AUDITOR, actor=ACTOR, now=NOW)
    return api_of(party, Scope.AUDIT)


def test_a_record_says_all_that_the_meter_said(day: TradingDay) -> None:
    day.clock.at = START + timedelta(minutes=1)
    event = usage("r1", 5, family="openai_chat")
    event["data"]["usage"] = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    tell(day, "provider-1", event, usage("r2", 100, refused="capacity", retry_of="r1"))
    second, first = api_of(day.parties["provider-1"]).get("usage-records", {"contract": SYMBOL}).ok()["items"]
    assert set(first) == FIELDS
    shown = {
        "id": "r1", "place": 0, "meter": "meter/provider-1", "side": "provider", "kind": "completed",
        "contract": SYMBOL, "buyer": "buyer-1", "provider": "provider-1", "request_id": "r1", "retry_of": None,
        "accepted_at": "2026-12-01T14:00:00Z", "received_at": "2026-12-01T14:01:00Z", "signed": False,
        "contract_millitokens": "11000", "requests": 1, "refusal_reason": None, "quarantine_reason": None,
        "supersedes": None, "superseded_by": None, "family": "openai_chat",
    }  # fmt: skip
    assert {name: first[name] for name in shown} == shown
    assert first["tokens"] == dict.fromkeys(Bucket, "0") | {"input_uncached": "3", "output_visible": "2"}
    assert json.loads(first["usage"]) == event["data"]["usage"]
    assert (second["kind"], second["refusal_reason"], second["retry_of"]) == ("refused", "capacity", "r1")
    batch = UsageBatch.objects.get()
    assert first["call"] == second["call"] == str(batch.pk)


def test_the_other_side_is_shown_when_delivery_has_ended(day: TradingDay) -> None:
    day.clock.at = START + timedelta(minutes=1)
    tell(day, "provider-1", usage("p1", 5), usage("p2", 5, buyer="buyer-2"))
    tell(day, "buyer-1", usage("b1", 5))
    tell(day, "provider-2", usage("x1", 5, provider="provider-2"))
    provider, buyer = (api_of(day.parties[code]) for code in ("provider-1", "buyer-1"))
    stranger = api_of(day.parties["buyer-3"])
    audit = auditor()
    day.clock.at = END - timedelta(microseconds=1)
    assert records(provider, contract=SYMBOL) == [("meter/provider-1", "p2"), ("meter/provider-1", "p1")]
    assert records(buyer, contract=SYMBOL) == [("meter/buyer-1", "b1")]
    assert len(records(audit, contract=SYMBOL)) == 4
    day.clock.at = END
    assert set(records(provider, contract=SYMBOL)) == {
        ("meter/provider-1", "p1"), ("meter/provider-1", "p2"), ("meter/buyer-1", "b1"),
    }  # fmt: skip
    assert set(records(buyer, contract=SYMBOL)) == {
        ("meter/provider-1", "p1"), ("meter/buyer-1", "b1"), ("meter/provider-2", "x1"),
    }  # fmt: skip
    assert records(stranger, contract=SYMBOL) == []
    assert records(buyer, contract=SYMBOL, meter="meter/provider-1") == [("meter/provider-1", "p1")]
    assert records(buyer, contract=SYMBOL, meter="meter/nobody") == []
    assert records(buyer, contract="NO-SUCH@20261201T14/1H") == []
    assert records(buyer, contract=SYMBOL, request_id="p1") == [("meter/provider-1", "p1")]


def test_what_was_kept_aside_is_found_without_knowing_the_contract(day: TradingDay) -> None:
    day.clock.at = START + timedelta(minutes=1)
    aside = usage("q1", 5, family="nobody_knows")
    tell(day, "provider-1", usage("p1", 5), aside)
    tell(day, "buyer-1", usage("b1", 5, family="nobody_knows"))
    provider = api_of(day.parties["provider-1"])
    (item,) = provider.get("usage-records", {"quarantined": "true"}).ok()["items"]
    assert (item["id"], item["quarantine_reason"], item["contract_millitokens"]) == ("q1", "unknown_family", "0")
    assert records(provider, contract=SYMBOL, quarantined="false") == [("meter/provider-1", "p1")]
    assert records(provider, contract=SYMBOL, quarantined="true") == [("meter/provider-1", "q1")]
    day.clock.at = END
    assert records(provider, quarantined="true") == [("meter/provider-1", "q1")]
    both = {("meter/provider-1", "q1"), ("meter/buyer-1", "b1")}
    assert set(records(provider, contract=SYMBOL, quarantined="true")) == both
    assert set(records(auditor(), quarantined="true")) == both


def test_what_a_correction_replaced_stays_and_says_so(day: TradingDay) -> None:
    day.clock.at = START + timedelta(minutes=1)
    tell(day, "provider-1", usage("p1", 5))
    (item,) = api_of(day.parties["provider-1"]).get("usage-records", {"contract": SYMBOL}).ok()["items"]
    assert item["superseded_by"] is None
    event = UsageEvent.objects.get()
    UsageSupersession.objects.create(
        meter_id=event.meter_id, event_id="p1", by_event_id="c1", contract_id=event.contract_id, batch_id=1
    )
    (item,) = api_of(day.parties["provider-1"]).get("usage-records", {"contract": SYMBOL}).ok()["items"]
    assert item["superseded_by"] == "c1"


def test_lists_are_narrowed_and_paged(day: TradingDay) -> None:
    day.clock.at = START + timedelta(minutes=1)
    for call in range(3):
        tell(day, "provider-1", *(usage(f"p{call}-{place}", 5) for place in range(2)))
    api = api_of(day.parties["provider-1"])
    seen, query = [], {"contract": SYMBOL, "limit": "2"}
    while True:
        page = api.get("usage-records", query).ok()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == ["p2-1", "p2-0", "p1-1", "p1-0", "p0-1", "p0-0"]
    (first, *_) = UsageBatch.objects.order_by("id").values_list("id", flat=True)
    assert [event for _, event in records(api, call=str(first))] == ["p0-1", "p0-0"]
    assert records(api_of(day.parties["buyer-1"]), call=str(first)) == []
    assert records(api, call="987654321") == []
    for wrong in ({}, {"meter": "meter/provider-1"}, {"quarantined": "false"}, {"request_id": "p0-0"}):
        api.get("usage-records", wrong).problem(400, "too_many_records")
    unreadable: list[dict[str, str]] = [
        {"call": "x"}, {"call": "1" * 30}, {"contract": "\0"}, {"quarantined": "perhaps"}, {"symbol": SYMBOL},
        {"contract": "x" * 81},
    ]  # fmt: skip
    for wrong in unreadable:
        api.get("usage-records", wrong).problem(400, "invalid_request")


def test_calls_are_listed_for_their_own_party(day: TradingDay) -> None:
    day.clock.at = START + timedelta(minutes=1)
    tell(day, "provider-1", usage("p1", 5), usage("p1", 5), usage("p1", 6), usage("q1", 5, family="x"))
    tell(day, "buyer-1", usage("b1", 5))
    provider, buyer = (api_of(day.parties[code]) for code in ("provider-1", "buyer-1"))
    (call,) = provider.get("usage-batches").ok()["items"]
    assert (call["party"], call["actor"], call["signed"]) == ("provider-1", ACTOR, False)
    counts = ("accepted", "duplicates", "conflicts", "quarantined", "rejected")
    assert [call[name] for name in counts] == [1, 1, 1, 1, 0]
    assert provider.get(f"usage-batches/{call['id']}").ok() == call
    assert api_of(day.parties["provider-1"], Scope.METER).get(f"usage-batches/{call['id']}").ok() == call
    provider.get(f"usage-batches/{call['id']}/evidence").problem(404, "not_found")  # not signed
    for path in (f"usage-batches/{call['id']}", f"usage-batches/{call['id']}/evidence"):
        buyer.get(path).problem(404, "not_found")
        Api().get(path).problem(401, "not_authenticated")
    assert [item["party"] for item in buyer.get("usage-batches").ok()["items"]] == ["buyer-1"]
    audit = auditor()
    assert [item["party"] for item in audit.get("usage-batches").ok()["items"]] == ["buyer-1", "provider-1"]
    assert audit.get("usage-batches", {"party": "provider-1"}).ok()["items"] == [call]
    assert audit.get("usage-batches", {"signed": "true"}).ok()["items"] == []
    assert audit.get("usage-batches", {"received_before": "2026-12-01T14:01:00Z"}).ok()["items"] == []
    api_of(day.parties["provider-1"], Scope.METER).get("usage-records").problem(403, "not_allowed")


def test_a_signed_call_is_kept_as_it_came_and_proves_itself_offline(day: TradingDay) -> None:
    day.clock.at = now = START + timedelta(minutes=1)
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = private.public_key().public_bytes_raw()
    register_meter(
        RegisterMeter(day.parties["provider-1"].pk, "meter/second", MeterSide.PROVIDER), actor=ACTOR, now=NOW
    )
    meter = api_of(day.parties["provider-1"], Scope.METER)
    key = {"public_key": base64url(public)}
    meter.post("meters/meter/provider-1/keys", key, idempotency_key="1").ok(201)
    events = json.dumps([usage("p1", 5), usage("b1", 5) | {"source": "meter/second"}]).encode()
    body, media_type = gzip.compress(events), "application/cloudevents-batch+json"
    path, created = "/api/v1/usage-events", int(now.timestamp())
    made = sign(private, key_id=thumbprint(public), path=path, content_type=media_type, body=body, created=created)
    headers = made | {"content-encoding": "gzip"}
    items = meter.call("POST", path, body, content_type=media_type, headers=headers).ok()["items"]
    assert [item["code"] for item in items] == ["accepted", "not_signed_by_meter"]
    (call,) = meter.get("usage-batches", {"signed": "true"}).ok()["items"]
    assert call["body_digest"] == hashlib.sha256(body).hexdigest()
    evidence = meter.get(f"usage-batches/{call['id']}/evidence")
    found = verify_call(evidence.content, key_id=thumbprint(public))
    assert (found.body, found.meter, found.events) == (events, "meter/provider-1", 2)
    assert evidence.ok()["call"] == call["id"]
    api_of(day.parties["buyer-1"]).get(f"usage-batches/{call['id']}/evidence").problem(404, "not_found")
    assert auditor().get(f"usage-batches/{call['id']}/evidence").content == evidence.content
    (record,) = api_of(day.parties["provider-1"]).get("usage-records", {"call": call["id"]}).ok()["items"]
    assert (record["id"], record["signed"]) == ("p1", True)
    spoilt = body[:-1] + bytes([body[-1] ^ 1])
    refused = meter.call("POST", path, spoilt, content_type=media_type, headers=headers)
    refused.problem(401, "invalid_signature")
    assert UsageBatch.objects.count() == 1
