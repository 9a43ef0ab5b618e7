"""Orders that are refused: each with a clear, stable code, and none changes anything."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.test import Client

from exchange.commands.halt_contract import HaltContract, halt_contract
from exchange.models import Fill
from ledger.chart import AccountKey, Role
from ledger.journal import set_flags
from ledger.models import Entry, MembershipRole
from ledger.parties.commands import add_member
from ledger.parties.keys import Scope
from tests.api.client import Api
from tests.api.live_market import LiveMarket, api_of, order, state
from tests.integration.exchange.market import ACTOR, NOW, START, SYMBOL

BY_BUDGET = {"type": "market", "time_in_force": None, "lots": None, "budget": "5"}
BAD_ORDERS: list[tuple[dict[str, Any], int, str, str | None]] = [
    ({"contract": "NOPE@20261201T14/1H"}, 404, "unknown_contract", None),
    ({"contract": SYMBOL.lower()}, 404, "unknown_contract", None),
    ({"price": "4.205000"}, 400, "price_off_tick", "price"),
    ({"price": "0.000001"}, 400, "price_off_tick", "price"),
    ({"price": "10.010000"}, 422, "price_out_of_band", "price"),
    ({"price": "0"}, 422, "price_out_of_band", "price"),
    ({"price": "-4.20"}, 422, "price_out_of_band", "price"),
    ({"price": "4.2000001"}, 400, "invalid_amount", "price"),
    ({"price": "1e3"}, 400, "invalid_amount", "price"),
    ({"price": " 4.20"}, 400, "invalid_amount", "price"),
    ({"price": "99999999999999"}, 400, "invalid_amount", "price"),
    ({"lots": "0"}, 400, "invalid_quantity", "lots"),
    ({"lots": 0}, 400, "invalid_quantity", "lots"),
    ({"lots": "-1"}, 400, "invalid_quantity", "lots"),
    ({"lots": str(2**53)}, 400, "invalid_quantity", "lots"),
    ({"lots": str(2**63)}, 400, "invalid_quantity", "lots"),
    ({"lots": "1.5"}, 400, "invalid_quantity", "lots"),
    ({"lots": 1.5}, 400, "invalid_quantity", "lots"),
    ({"lots": True}, 400, "invalid_quantity", "lots"),
    ({"lots": "\u0663"}, 400, "invalid_quantity", "lots"),
    ({"lots": "1000001"}, 400, "invalid_quantity", "lots"),
    ({"client_order_id": "a/b"}, 400, "invalid_order", "client_order_id"),
    ({"price": None}, 400, "invalid_order", "price"),
    ({"lots": None}, 400, "invalid_order", "lots"),
    ({"budget": "5"}, 400, "invalid_order", "budget"),
    ({"lots": None, "budget": "5", "time_in_force": "ioc"}, 400, "invalid_order", "budget"),
    ({"expires_at": "2026-12-01T12:00:00Z"}, 400, "invalid_order", "expires_at"),
    ({"time_in_force": "gtd"}, 400, "invalid_order", "expires_at"),
    ({"time_in_force": "gtd", "expires_at": "2026-12-01T10:00:00Z"}, 422, "expiry_out_of_range", "expires_at"),
    ({"time_in_force": "gtd", "expires_at": "2026-12-01T13:30:00.000001Z"}, 422, "expiry_out_of_range", "expires_at"),
    ({"time_in_force": "ioc", "post_only": "reject"}, 400, "invalid_order", "post_only"),
    ({"time_in_force": "fok", "post_only": "reprice"}, 400, "invalid_order", "post_only"),
    ({"type": "market"}, 400, "invalid_order", "time_in_force"),
    ({"type": "market", "time_in_force": "gtd"}, 400, "invalid_order", "time_in_force"),
    ({"type": "market", "time_in_force": None, "post_only": "reject"}, 400, "invalid_order", "post_only"),
    ({"type": "market", "time_in_force": "ioc", "lots": None}, 400, "invalid_order", "lots"),
    ({"type": "market", "time_in_force": "ioc", "budget": "5"}, 400, "invalid_order", "budget"),
    ({"type": "market", "time_in_force": "fok", "lots": None, "budget": "5"}, 400, "invalid_order", "time_in_force"),
    ({"type": "market", "time_in_force": "ioc", "price": "10.01"}, 422, "price_out_of_band", "price"),
    (BY_BUDGET | {"budget": "0"}, 400, "invalid_amount", "budget"),
    (BY_BUDGET | {"budget": "-1"}, 400, "invalid_amount", "budget"),
    (BY_BUDGET | {"budget": 5}, 400, "invalid_amount", "budget"),
    (BY_BUDGET | {"budget": "1000000000.000001"}, 400, "invalid_amount", "budget"),
    (BY_BUDGET | {"budget": "0.001001"}, 422, "budget_too_small", "budget"),  # a lot at the band's lower end: 0.001002
    (BY_BUDGET | {"overage_permille": 1}, 400, "invalid_order", "overage_permille"),
]


def test_a_bad_order_gets_a_clear_error_and_changes_nothing(live: LiveMarket) -> None:
    api = live.buyer("buyer-1")
    before = state()
    for change, status, code, field in BAD_ORDERS:
        problem = api.post("orders", order(**change)).problem(status, code)
        assert problem.get("field") == field, change
        assert state() == before, change
    api.post("orders", order()).ok(201)  # no refusal claimed the client_order_id


MALFORMED: list[tuple[dict[str, Any], set[str]]] = [
    ({"contract": None, "client_order_id": None}, {"contract", "client_order_id"}),
    ({"side": "sell"}, {"side"}),
    ({"price": 4.21}, {"price"}),
    ({"lots": None, "price": None, "type": "stop"}, {"type"}),
    ({"time_in_force": "day"}, {"time_in_force"}),
    ({"time_in_force": "gtd", "expires_at": "2026-12-01T12:00:00"}, {"expires_at"}),
    ({"time_in_force": "gtd", "expires_at": 1764590400}, {"expires_at"}),
    ({"expires_at": "soon"}, {"expires_at"}),
    ({"expires_at": "0001-01-01T00:00:00+14:00"}, {"expires_at"}),
    ({"post_only": True}, {"post_only"}),
    ({"self_trade": "none"}, {"self_trade"}),
    ({"overage_permille": 1001}, {"overage_permille"}),
    ({"overage_permille": "1_0"}, {"overage_permille"}),
    ({"overage_permille": True}, {"overage_permille"}),
    ({"overage_permile": 5}, {"overage_permile"}),
    ({"client_order_id": ""}, {"client_order_id"}),
    ({"client_order_id": 7}, {"client_order_id"}),
    ({"client_order_id": "x" * 65}, {"client_order_id"}),
]


def test_a_malformed_order_names_its_fields(lone: Api) -> None:
    for change, fields in MALFORMED:
        problem = lone.post("orders", order(**change)).problem(400, "invalid_request")
        assert {error["field"] for error in problem["errors"]} == fields
    assert state() == (0, 0, 0, 0)


BODIES = [
    (b"{", 400, "malformed_json"),
    (b'{"lots": "1", "lots": "2"}', 400, "duplicate_member"),
    (b'{"price": NaN}', 400, "invalid_number"),
    (b'{"client_order_id": "\\u0000"}', 400, "malformed_json"),
    (b"[" * 30 + b"]" * 30, 400, "nested_too_deep"),
    (b" " * 70_000, 413, "body_too_large"),
    (b"[]", 400, "invalid_request"),
    (b'"order"', 400, "invalid_request"),
    (b"null", 400, "invalid_request"),
    (b"", 400, "invalid_request"),
]


def test_a_malformed_body_is_refused(lone: Api) -> None:
    for body, status, code in BODIES:
        lone.call("POST", "orders", body).problem(status, code)
    lone.call("POST", "orders", headers={"transfer_encoding": "chunked"}).problem(411, "body_length_missing")
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = lone.call("POST", "orders", b'{"a": "b"}', content_type=media_type)
        answer.problem(415, "unsupported_media_type")
    assert state() == (0, 0, 0, 0)


def test_a_contract_that_does_not_trade_takes_no_orders(live: LiveMarket) -> None:
    api = live.buyer("buyer-1")
    later = live.list_window(START + timedelta(hours=1), gate_open=NOW + timedelta(hours=2))
    before = state()
    problem = api.post("orders", order(contract=later.symbol)).problem(422, "contract_not_open")
    assert (problem["state"], problem["gate_open"]) == ("listed", "2026-12-01T12:00:00Z")
    live.results([halt_contract(HaltContract(SYMBOL, "a test"), actor=ACTOR, now=NOW).seq])
    api.post("orders", order()).problem(422, "contract_halted")
    live.clock.at = START
    live.sweep()
    problem = api.post("orders", order()).problem(422, "contract_closed")
    assert (problem["contract"], problem["gate_close"]) == (SYMBOL, "2026-12-01T13:30:00Z")
    assert state()[:3] == before[:3]


def test_an_order_beyond_the_partys_money_is_refused_and_recorded(live: LiveMarket) -> None:
    live.offer(10, 400)
    api = live.buyer("buyer-1", micros=1_262_519)  # one micro too little
    entries = Entry.objects.count()
    refused = api.post("orders", order())
    problem = refused.problem(422, "insufficient_funds")
    assert api.post("orders", order()).problem(422, "insufficient_funds") == problem
    recorded = api.get(f"orders/{problem['order_id']}").ok()
    assert (recorded["status"], recorded["close_reason"], recorded["filled_lots"]) == (
        "rejected",
        "insufficient_funds",
        "0",
    )
    assert (Fill.objects.count(), Entry.objects.count()) == (0, entries)
    assert live.cash(live.provider).held == 10_000_000


def test_a_frozen_party_trades_no_more_but_still_reads(live: LiveMarket) -> None:
    party = live.party("buyer-1")
    api = api_of(party)
    with transaction.atomic():
        key = AccountKey(party.id, live.currency.id, Role.CASH)
        set_flags(key, frozen=True, closed=False, actor=ACTOR, reason="a test", now=NOW)
    api.post("orders", order()).problem(422, "account_frozen")
    assert api.get("balances").ok()["items"][0]["balance"] == "100.000000"


def test_scopes_part_reading_from_trading(live: LiveMarket) -> None:
    party = live.party("buyer-1")
    reading, metering = api_of(party, Scope.READ), api_of(party, Scope.METER)
    before = state()
    assert reading.post("orders", order()).problem(403, "not_allowed")["required_scopes"] == ["trade"]
    metering.get("orders").problem(403, "not_allowed")
    metering.get("fills").problem(403, "not_allowed")
    reading.delete("orders/1").problem(403, "not_allowed")
    assert reading.get("orders").ok()["items"] == []
    assert state() == before
    Api().post("orders", order()).problem(401, "not_authenticated")
    Api("tb_000000000000_" + "0" * 64).post("orders", order()).problem(401, "not_authenticated")


def test_a_browser_session_opens_nothing_here(live: LiveMarket) -> None:
    member = add_member("ada", "a long password", live.provider, MembershipRole.PROVIDER_STAFF, actor=ACTOR, now=NOW)
    api = Api(client=Client(enforce_csrf_checks=True, raise_request_exception=False, headers={"host": "localhost"}))
    api.client.force_login(member)
    before = state()
    api.post("orders", order()).problem(401, "not_authenticated")
    api.post("keys", {"label": "x", "scopes": ["read"]}, idempotency_key="k").problem(401, "not_authenticated")
    api.get("balances").problem(401, "not_authenticated")
    assert state() == before
