"""Orders over REST, from the request to the durable result."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction

from exchange.models import Intake, Order
from exchange.sequencer.results import await_result
from ledger import journal
from ledger.models import PartyKind
from ledger.parties.keys import Scope
from tests.api.client import Answer, Api
from tests.api.live_market import LiveMarket, api_of, api_of_old, order, state
from tests.integration.exchange.market import START, SYMBOL


def test_an_order_is_answered_with_its_final_result(live: LiveMarket) -> None:
    live.offer(10, 400)
    api = live.buyer("buyer-1")
    placed = api.post("orders", order())
    body = placed.ok(201)
    order_id = body["order_id"]
    assert placed.headers["Location"] == f"/api/v1/orders/{order_id}"
    (fill,) = body.pop("fills")
    assert body == {
        "order_id": order_id,
        "client_order_id": "o-1",
        "contract": SYMBOL,
        "side": "buy",
        "type": "limit",
        "price": "4.200000",
        "lots": "3",
        "budget": None,
        "filled_lots": "3",
        "remaining_lots": "0",
        "time_in_force": "gtc",
        "expires_at": None,
        "post_only": "no",
        "self_trade": "cancel_newest",
        "overage_permille": 0,
        "status": "filled",
        "close_reason": "filled",
        "notional": "1.200000",
        "fee": "0.002400",
    }
    assert fill["trade_no"] == "1"
    assert (fill["price"], fill["lots"], fill["notional"], fill["fee"]) == ("4.000000", "3", "1.200000", "0.002400")
    listed = api.get("fills").ok()["items"]
    assert [(each["fill_id"], each["order_id"], each["side"], each["fee"], each["tokens"]) for each in listed] == [
        (fill["fill_id"], order_id, "buy", "0.002400", "300000")
    ]
    assert api.get("fills", {"order_id": order_id, "contract": SYMBOL}).ok()["items"] == listed
    assert api.get("fills", {"order_id": "999"}).ok()["items"] == []
    sold = api_of(live.provider).get("fills").ok()["items"]
    assert [(each["side"], each["fee"], each["fill_id"]) for each in sold] == [("sell", "0.000000", fill["fill_id"])]


def test_a_repeat_gets_the_first_answer_whatever_has_happened_since(live: LiveMarket) -> None:
    api = live.buyer("buyer-1")
    first = api.post("orders", order()).ok(201)
    assert first["status"] == "open"
    live.offer(1, 400)
    before = state()
    assert api.post("orders", order(price="4.2")).ok(200) == first
    api.delete(f"orders/{first['order_id']}").ok()
    live.clock.at = START
    live.sweep()
    assert api.post("orders", order(overage_permille=0)).ok(200) == first
    assert state()[:3] == before[:3]


OTHER_CONTENT: list[tuple[dict[str, Any], str]] = [
    ({"price": "4.210000"}, "price"),
    ({"lots": "4"}, "lots"),
    ({"time_in_force": "ioc"}, "time_in_force"),
    ({"overage_permille": 10}, "overage_permille"),
    ({"post_only": "reject"}, "post_only"),
    ({"self_trade": "decrement"}, "self_trade"),
    ({"time_in_force": "gtd", "expires_at": "2026-12-01T12:00:00Z"}, "expires_at"),
    ({"type": "market", "time_in_force": "ioc"}, "type"),
    ({"type": "market", "time_in_force": "ioc", "lots": None, "budget": "5"}, "budget"),
]


def test_the_same_client_order_id_with_other_content_conflicts(live: LiveMarket) -> None:
    api, other = live.buyer("buyer-1"), live.buyer("buyer-2")
    api.post("orders", order()).ok(201)
    before = state()
    for change, field in OTHER_CONTENT:
        assert api.post("orders", order(**change)).problem(409, "client_order_id_conflict")["field"] == field
    assert state() == before
    other.post("orders", order(lots="4")).ok(201)  # another party's names are its own


def test_the_same_order_from_many_hands_at_once_is_placed_once(live: LiveMarket) -> None:
    api, together = live.buyer("buyer-1"), threading.Barrier(6)

    def place(_: int) -> Answer:
        together.wait(10)
        return in_thread(lambda: Api(api.key).post("orders", order()))

    with ThreadPoolExecutor(6) as hands:
        answers = list(hands.map(place, range(6)))
    assert sorted(answer.status for answer in answers) == [200] * 5 + [201]
    assert all(answer.body == answers[0].body for answer in answers)
    assert (
        Intake.objects.filter(client_order_id="o-1").count() == Order.objects.filter(client_order_id="o-1").count() == 1
    )


def test_orders_are_found_by_both_ids_and_cancelled_once(live: LiveMarket) -> None:
    api = live.buyer("buyer-1")
    order_id = api.post("orders", order(overage_permille=50)).ok(201)["order_id"]
    standing = api.get(f"orders/{order_id}").ok()
    assert api.get("orders/by-client-id/o-1").ok() == standing
    assert api.get("orders").ok()["items"] == [standing]
    assert (standing["status"], standing["placed_at"], standing["closed_at"]) == ("open", "2026-12-01T10:00:00Z", None)
    assert api.get("balances").ok()["items"][0]["held"] != "0.000000"
    cancelled = api.delete(f"orders/{order_id}").ok()
    assert cancelled == {"order_id": order_id, "status": "cancelled", "cancelled_lots": "3"}
    (cash,) = api.get("balances").ok()["items"]
    assert (cash["role"], cash["held"], cash["available"]) == ("cash", "0.000000", "100.000000")
    assert api.delete(f"orders/{order_id}").problem(409, "order_not_open")["order_id"] == order_id
    assert api.get(f"orders/{order_id}").ok()["status"] == "cancelled"


def test_someone_elses_order_is_not_there(live: LiveMarket) -> None:
    order_id = live.buyer("buyer-1").post("orders", order()).ok(201)["order_id"]
    stranger = live.buyer("buyer-2")
    before = state()
    stranger.get(f"orders/{order_id}").problem(404, "order_not_found")
    stranger.delete(f"orders/{order_id}").problem(404, "order_not_found")
    stranger.get("orders/by-client-id/o-1").problem(404, "order_not_found")
    stranger.get(f"orders/{2**70}").problem(404, "order_not_found")
    stranger.delete(f"orders/{2**70}").problem(404, "order_not_found")
    assert stranger.get("orders").ok()["items"] == []
    assert stranger.get("fills", {"order_id": order_id}).ok()["items"] == []
    assert state() == before


def test_without_an_outcome_in_time_the_caller_learns_where_to_ask(live: LiveMarket, monkeypatch: Any) -> None:
    monkeypatch.setattr("exchange.api.placing.OUTCOME_SECONDS", 0)
    api = live.buyer("buyer-1")
    with transaction.atomic():
        journal.lock_head()  # the sequencer waits here
        with ThreadPoolExecutor(1) as other:
            pending = other.submit(in_thread, lambda: api.post("orders", order())).result()
            body = pending.ok(202)
            waiting = other.submit(in_thread, lambda: api.get(pending.headers["Location"])).result().ok()
    assert body == {"code": "outcome_pending", "order_id": waiting["order_id"], "status": "pending"}
    assert (waiting["status"], waiting["remaining_lots"], waiting["contract"]) == ("pending", "3", SYMBOL)
    assert await_result(int(waiting["order_id"])) is not None
    assert api.get(pending.headers["Location"]).ok()["status"] == "open"


def in_thread(call: Callable[[], Answer]) -> Answer:
    """A call on a connection of its own, which it closes."""
    try:
        return call()
    finally:
        connection.close()


def test_lists_are_narrowed_and_paged(live: LiveMarket) -> None:
    api = live.buyer("buyer-1")
    ids = [api.post("orders", order(f"o-{i}", price=f"1.0{i}", lots="1")).ok(201)["order_id"] for i in range(5)]
    api.delete(f"orders/{ids[0]}").ok()
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = api.get("orders", {"limit": "2", **cursor}).ok()
        seen += [each["order_id"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
        live.buyer(f"other-{len(seen)}").post("orders", order(lots="1")).ok(201)
    assert seen == ids[::-1]
    assert [each["order_id"] for each in api.get("orders", {"status": "cancelled"}).ok()["items"]] == ids[:1]
    assert api.get("orders", {"contract": "NOPE"}).ok()["items"] == []
    assert len(api.get("orders", {"contract": SYMBOL, "side": "buy"}).ok()["items"]) == 5
    for query, status, code in (
        ({"status": "lost"}, 400, "invalid_request"),
        ({"placed_from": "yesterday"}, 400, "invalid_request"),
        ({"placed_from": "0001-01-01T00:00:00+14:00"}, 400, "invalid_request"),
        ({"colour": "red"}, 400, "invalid_request"),
        ({"limit": "0"}, 400, "invalid_amount"),
        ({"limit": "501"}, 400, "invalid_amount"),
        ({"cursor": "x"}, 400, "invalid_cursor"),
        ({"cursor": "WzFd"}, 400, "invalid_cursor"),
        ({"cursor": "WyJhIl0"}, 400, "invalid_cursor"),
        ({"cursor": "WyIxXzAiXQ"}, 400, "invalid_cursor"),  # "1_0", which Python takes for a number
        ({"contract": "a\0b"}, 400, "invalid_request"),
    ):
        api.get("orders", query).problem(status, code)


@pytest.mark.parametrize("kind", [PartyKind.PROVIDER, PartyKind.BENEFICIARY, PartyKind.AUDITOR])
def test_only_buyers_trade_by_key(live: LiveMarket, kind: PartyKind) -> None:
    api = api_of_old(live.party("other", kind=kind), Scope.READ, Scope.TRADE)
    assert api.post("orders", order()).problem(403, "not_allowed")["key_scopes"] == ["read"]
    api.delete("orders").problem(403, "not_allowed")
    api.put("dead-man-switch", {"seconds": 60}).problem(403, "not_allowed")
    api.get("orders").ok()
