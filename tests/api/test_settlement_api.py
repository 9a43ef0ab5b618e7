"""Statements over REST."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.models import PartyKind
from ledger.parties.commands import register_party
from ledger.parties.keys import Scope
from settlement.models import Statement
from settlement.statements.verify import verify
from tests.api.client import Api
from tests.api.live_market import MarketClock, api_of, api_of_old
from tests.integration.settlement.trading_day import ACTOR, NOW, TradingDay, requests


@pytest.fixture
def day(stopped_clock: None) -> TradingDay:
    clock: Any = MarketClock()
    return TradingDay(clock)


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
    records = api.get(listed["forms"]["jsonl"]).content
    report = verify(file.content, keys.content, records=records)
    assert report.ok, report.text()
    assert report.complete
    assert "max-age" in keys.headers["Cache-Control"]


def test_nobody_sees_anothers_statement_but_an_auditor(day: TradingDay) -> None:
    settled(day)
    foreign = Statement.objects.get(party=day.parties["provider-1"]).pk
    stranger = api_of_old(day.parties["buyer-2"], *Scope)  # the audit scope alone opens nothing
    assert "provider-1" not in {each["party"] for each in stranger.get("statements").ok()["items"]}
    for path in (f"statements/{foreign}", f"statements/{foreign}/download"):
        answer = stranger.get(path)
        answer.problem(404, "not_found")
    api_of(day.parties["provider-1"], Scope.METER).get("statements").problem(403, "not_allowed")
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
