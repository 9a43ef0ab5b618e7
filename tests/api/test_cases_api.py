"""Discrepancy cases and the bias register over REST: both sides see them, an auditor sees all, nobody else any."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import transaction
from django.test import override_settings

from config.clock import SimulatedClock
from ledger.clock import get_clock
from ledger.models import PartyKind
from ledger.parties.commands import register_party
from ledger.parties.keys import Scope
from settlement.metering.reconciling import reconcile_contract
from settlement.models import CaseState, DiscrepancyCase
from tests.api.client import Api
from tests.api.live_market import api_of
from tests.conftest import DatabaseUrls
from tests.integration.settlement.trading_day import ACTOR, END, NOW, SYMBOL, TradingDay
from tests.integration.settlement.usage_rows import UsageRows

AT = END + timedelta(minutes=2)


@pytest.fixture
def day(database: DatabaseUrls) -> Iterator[TradingDay]:
    """A delivered contract in which the provider of one pair inflates and that of another shaves."""
    with override_settings(CLOCK="config.clock.SimulatedClock"):
        get_clock.cache_clear()
        SimulatedClock().set(AT)
        day = TradingDay()
        day.clock.at = AT
        rows = UsageRows(day)
        with transaction.atomic():
            rows.keep("meter/provider-1", "a", output_visible=100, output_reasoning=300)
            rows.keep("meter/buyer-1", "a", output_visible=100, output_reasoning=200)
            for number in range(30):
                for meter, output in (("meter/provider-2", 401), ("meter/buyer-2", 400)):
                    rows.keep(meter, f"s{number}", output_visible=output, buyer="buyer-2", provider="provider-2")
        reconcile_contract(day.contract.id, now=AT)
        yield day
    get_clock.cache_clear()


def key(day: TradingDay, code: str, *scopes: Scope) -> Api:
    return api_of(day.parties[code], *scopes)


def auditor() -> Api:
    return api_of(register_party("auditor", "Auditor", PartyKind.AUDITOR, actor=ACTOR, now=NOW), Scope.AUDIT)


def test_both_sides_read_the_same_case(day: TradingDay) -> None:
    case = DiscrepancyCase.objects.get()
    seen = [key(day, code, Scope.READ).get(f"discrepancy-cases/{case.pk}").ok() for code in ("buyer-1", "provider-1")]
    assert seen[0] == seen[1] == auditor().get(f"discrepancy-cases/{case.pk}").ok()
    assert {name: seen[0][name] for name in seen[0] if name != "entries"} == {
        "id": str(case.pk),
        "contract": SYMBOL,
        "buyer": "buyer-1",
        "provider": "provider-1",
        "kind": "figures_differ",
        "state": "open",
        "opened_at": "2026-12-01T15:02:00Z",
        "changed_at": "2026-12-01T15:02:00Z",
        "requests": "1",
        "provider_millitokens": "1600000",
        "buyer_millitokens": "1200000",
        "settled_millitokens": "1200000",
        "ruling": None,
    }
    (entry,) = seen[0]["entries"]
    assert (entry["kind"], entry["by"], entry["text"]) == ("found", "exchange", "")
    assert entry["details"]["buckets"]["output_reasoning"] == {"provider": "300", "buyer": "200"}
    assert entry["details"]["shown"][0]["request_id"] == "a"


def test_a_case_is_nobody_elses(day: TradingDay) -> None:
    case, stranger = DiscrepancyCase.objects.get(), key(day, "buyer-2", Scope.READ, Scope.TRADE)
    assert stranger.get("discrepancy-cases").ok()["items"] == []
    stranger.get(f"discrepancy-cases/{case.pk}").problem(404, "case_not_found")
    said = stranger.post(f"discrepancy-cases/{case.pk}/statements", {"text": "Hm."}, idempotency_key="1")
    said.problem(404, "case_not_found")
    Api().get("discrepancy-cases").problem(401, "not_authenticated")


def test_the_list_is_narrowed_down(day: TradingDay) -> None:
    reader = auditor()

    def found(**query: str) -> int:
        return len(reader.get("discrepancy-cases", query).ok()["items"])

    assert found() == found(contract=SYMBOL) == found(state="open") == found(kind="figures_differ") == 1
    assert found(contract="NONE") == found(state="decided") == found(kind="lost_end") == 0
    reader.get("discrepancy-cases", {"state": "odd"}).problem(400, "invalid_request")
    reader.get("discrepancy-cases", {"sort": "id"}).problem(400, "invalid_request")


def test_a_statement_is_made_once(day: TradingDay) -> None:
    case = DiscrepancyCase.objects.get()
    path, meter = f"discrepancy-cases/{case.pk}/statements", key(day, "provider-1", Scope.METER)
    first = meter.post(path, {"text": "Reasoning is counted by the model."}, idempotency_key="1").ok(201)
    assert (first["state"], first["entries"][-1]["by"]) == ("answered", "provider-1")
    assert meter.post(path, {"text": "Reasoning is counted by the model."}, idempotency_key="1").ok(200) == first
    meter.post(path, {"text": "Something else."}, idempotency_key="1").problem(409, "idempotency_conflict")
    assert case.entries.count() == 2
    trader = key(day, "buyer-1", Scope.TRADE)
    assert trader.post(path, {"text": "It was not."}, idempotency_key="1").ok(201)["entries"][-1]["by"] == "buyer-1"


def test_what_is_no_statement_is_refused(day: TradingDay) -> None:
    case = DiscrepancyCase.objects.get()
    path, meter = f"discrepancy-cases/{case.pk}/statements", key(day, "provider-1", Scope.METER)
    bodies: list[object] = [
        {},
        {"text": ""},
        {"text": 1},
        {"text": "x" * 2_001},
        {"text": "x", "ruling": "provider"},
        [],
    ]
    for body in bodies:
        meter.post(path, body, idempotency_key="1").problem(400, "invalid_request")
    meter.post(path, {"text": "x"}).problem(400, "idempotency_key_missing")
    reader = key(day, "provider-1", Scope.READ)
    reader.post(path, {"text": "x"}, idempotency_key="1").problem(403, "not_allowed")
    auditor().post(path, {"text": "x"}, idempotency_key="1").problem(403, "not_allowed")
    DiscrepancyCase.objects.update(state=CaseState.RESOLVED)
    meter.post(path, {"text": "x"}, idempotency_key="1").problem(409, "wrong_case_state")


def test_the_register_says_whose_figures_lean(day: TradingDay) -> None:
    (row,) = key(day, "buyer-2", Scope.READ).get("bias-register").ok()["items"]
    assert row == {
        "provider": "provider-2",
        "buyer": "buyer-2",
        "product": day.product.code,
        "latest_window": "2026-12-01T14:00:00Z",
        "compared_requests": "30",
        "differing_requests": "30",
        "difference_millitokens": "120000",
        "tolerance_millitokens": str(30 * (2 * 4_000 + 1_000 + 1_000)),
        "buckets": {
            "input_uncached": {"difference": "0", "tolerance": "30", "differing": "0"},
            "input_tool": {"difference": "0", "tolerance": "30", "differing": "0"},
            "output_visible": {"difference": "30", "tolerance": "60", "differing": "30"},
        },
        "leaning": ["output_visible"],
        "tolerance_zero": True,
        "decided_at": "2026-12-01T15:02:00+00:00",
    }
    (other,) = key(day, "provider-1", Scope.READ).get("bias-register").ok()["items"]
    assert (other["buyer"], other["tolerance_zero"], other["decided_at"]) == ("buyer-1", False, None)
    assert len(auditor().get("bias-register").ok()["items"]) == 2
