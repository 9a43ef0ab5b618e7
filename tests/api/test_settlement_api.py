"""Usage events in over REST, statements out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger.models import Party, PartyKind
from ledger.parties.commands import register_party
from ledger.parties.keys import Scope
from settlement.models import Statement, UsageEvent
from settlement.statements.verify import verify
from tests.api.client import Answer, Api
from tests.api.live_market import MarketClock, api_of
from tests.integration.settlement.trading_day import ACTOR, NOW, SYMBOL, TradingDay, requests, usage

BATCH = "application/cloudevents-batch+json"


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
    assert UsageEvent.objects.get().raw["cost"] == 0.00012


def test_a_list_that_cannot_be_read_is_refused_as_a_whole(day: TradingDay) -> None:
    api = meter_of(day.parties["provider-1"])
    for body, status, code in (
        (b"[", 400, "malformed_json"),
        (b"[]", 400, "invalid_request"),
        (b"5", 400, "invalid_request"),
        (b'[{"id": "a", "id": "b"}]', 400, "duplicate_member"),
        (b"[" + b"1," * 10_000 + b"1]", 413, "batch_too_large"),
        (b'["' + b"x" * 10 * 1024 * 1024 + b'"]', 413, "body_too_large"),
    ):
        api.call("POST", "usage-events", body, content_type=BATCH).problem(status, code)
    api.call("POST", "usage-events", b"[]", content_type="text/csv").problem(415, "unsupported_media_type")
    assert UsageEvent.objects.count() == 0


def test_only_a_meters_own_key_reports_for_it(day: TradingDay) -> None:
    day.deliver()
    event = usage("r", 1_000)
    send(Api(), [event]).problem(401, "not_authenticated")
    send(api_of(day.parties["provider-1"], Scope.READ, Scope.TRADE), [event]).problem(403, "not_allowed")
    assert statuses(send(meter_of(day.parties["provider-2"]), [event])) == [("rejected", "unknown_meter")]
    assert UsageEvent.objects.count() == 0


def settled(day: TradingDay) -> None:
    """A day with a trade, usage and a run."""
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    day.report_both("buyer-1", "provider-1", requests(80_000))
    day.settle()


def test_a_statement_is_listed_shown_downloaded_and_verified(day: TradingDay) -> None:
    settled(day)
    api = api_of(day.parties["buyer-1"])
    (listed,) = api.get("statements").ok()["items"]
    assert (listed["party"], listed["currency"], listed["sequence"], listed["run_kind"]) == (
        "buyer-1",
        "CNY",
        1,
        "initial",
    )
    shown = api.get(f"statements/{listed['id']}").ok()
    assert shown["content"]["core"]["party"] == "buyer-1"
    assert shown["content"]["core_digest"] == listed["core_digest"]
    assert {name: shown[name] for name in listed} == listed
    file = api.get(listed["download"])
    assert file.status == 200
    assert file.headers["Content-Type"] == "application/jose+json"
    assert file.headers["Content-Disposition"] == 'attachment; filename="buyer-1-CNY-000001.jws.json"'
    assert file.content.decode() == Statement.objects.get(id=listed["id"]).jws
    assert api.get(listed["download"], accept="application/jose+json").content == file.content
    keys = Api().get("/.well-known/jwks.json")
    report = verify(file.content, keys.content)
    assert report.ok, report.text()
    assert "max-age" in keys.headers["Cache-Control"]


def test_nobody_sees_anothers_statement_but_an_auditor(day: TradingDay) -> None:
    settled(day)
    foreign = Statement.objects.get(party=day.parties["provider-1"]).pk
    stranger = api_of(day.parties["buyer-2"], *Scope)  # the audit scope alone opens nothing
    assert "provider-1" not in {each["party"] for each in stranger.get("statements").ok()["items"]}
    for path in (f"statements/{foreign}", f"statements/{foreign}/download"):
        answer = stranger.get(path)
        answer.problem(404, "not_found")
    meter_of(day.parties["provider-1"]).get("statements").problem(403, "not_allowed")
    Api().get(f"statements/{foreign}/download").problem(401, "not_authenticated")
    auditor = api_of(register_party("auditor", "Auditor", PartyKind.AUDITOR, actor=ACTOR, now=NOW), Scope.AUDIT)
    everything = auditor.get("statements").ok()["items"]
    assert {"buyer-1", "provider-1"} <= {each["party"] for each in everything}
    assert auditor.get("statements", {"party": "provider-1"}).ok()["items"] == [
        each for each in everything if each["party"] == "provider-1"
    ]
    assert auditor.get(f"statements/{foreign}/download").status == 200
    narrowed: list[tuple[dict[str, Any], int]] = [
        ({"currency": "CNY", "run_kind": "initial"}, len(everything)),
        ({"run_kind": "final"}, 0),
        ({"period_from": "2026-12-01T15:00:00Z"}, 0),
    ]
    for query, count in narrowed:
        assert len(auditor.get("statements", query).ok()["items"]) == count
    auditor.get("orders").problem(403, "not_allowed")
    auditor.post("orders", {}).problem(403, "not_allowed")


def test_usage_without_a_position_is_kept_and_moves_no_money(day: TradingDay) -> None:
    day.deliver()
    before = api_of(day.parties["buyer-1"]).get("balances").ok()
    assert statuses(send(meter_of(day.parties["provider-1"]), [usage("r", 1_000, symbol=SYMBOL)])) == [
        ("accepted", "accepted")
    ]
    day.settle()
    assert api_of(day.parties["buyer-1"]).get("balances").ok() == before
