"""Orders that are amended and cancelled over REST, one by one, all together, and by the dead-man switch."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from django.db import connection, transaction

from exchange.models import Intake
from exchange.sequencer.results import await_results
from ledger import journal
from ledger.parties.keys import Scope
from tests.api.client import Answer, Api
from tests.api.live_market import LiveMarket, api_of, order, state
from tests.integration.exchange.market import NOW, START, SYMBOL


def amend(api: Api, order_id: str, key: str = "k-1", **change: Any) -> Answer:
    return api.patch(f"orders/{order_id}", change, idempotency_key=key)


def held(api: Api) -> str:
    (account,) = [each for each in api.get("balances").ok()["items"] if each["role"] == "cash"]
    return str(account["held"])


def place(api: Api, name: str = "o-1", **changes: Any) -> str:
    return str(api.post("orders", order(name, **changes)).ok(201)["order_id"])


def test_an_amended_order_keeps_its_place_only_when_it_gets_smaller(live: LiveMarket) -> None:
    first, second, third = (live.buyer(f"buyer-{i}") for i in range(3))
    ids = [place(api, price="4.000000") for api in (first, second, third)]
    smaller = amend(first, ids[0], lots="2").ok()
    assert smaller == {
        "order_id": ids[0],
        "price": "4.000000",
        "lots": "2",
        "filled_lots": "0",
        "remaining_lots": "2",
        "status": "open",
        "close_reason": "",
        "kept_place": True,
        "fills": [],
    }
    assert held(first) == "0.801600"
    larger = amend(second, ids[1], lots="4").ok()
    assert (larger["kept_place"], larger["lots"], held(second)) == (False, "4", "1.603200")
    live.offer(6, 400)  # the first order has kept its place, the second has lost it to the third
    filled = [api.get(f"orders/{id}").ok()["filled_lots"] for api, id in zip((first, second, third), ids, strict=True)]
    assert filled == ["2", "1", "3"]


def test_a_repriced_order_may_trade(live: LiveMarket) -> None:
    live.offer(2, 410)
    api = live.buyer("buyer-1")
    order_id = place(api, price="4.000000")
    amended = amend(api, order_id, price="4.200000").ok()
    assert (amended["price"], amended["filled_lots"], amended["remaining_lots"]) == ("4.200000", "2", "1")
    assert [(fill["price"], fill["lots"], fill["fee"]) for fill in amended["fills"]] == [("4.100000", "2", "0.001640")]
    assert held(api) == "0.420840"
    standing = api.get(f"orders/{order_id}").ok()
    assert (standing["price"], standing["lots"], standing["filled_lots"]) == ("4.200000", "3", "2")


def test_an_order_amended_to_what_it_has_or_to_nothing_is_closed(live: LiveMarket) -> None:
    live.offer(1, 400)
    api = live.buyer("buyer-1")
    filled, empty = place(api), place(api, "o-2", price="3.000000")
    for order_id, lots, key in ((filled, "1", "k-1"), (empty, 0, "k-2")):
        closed = amend(api, order_id, key, lots=lots).ok()
        assert (closed["status"], closed["close_reason"]) == ("cancelled", "cancelled")
    assert held(api) == "0.000000"
    amend(api, filled, "k-3", lots="9").problem(409, "order_not_open")


def test_a_repeated_amendment_acts_once_and_another_under_its_key_conflicts(live: LiveMarket) -> None:
    api = live.buyer("buyer-1")
    order_id = place(api)
    first = amend(api, order_id, lots="2").ok()
    amend(api, order_id, "k-2", lots="1").ok()
    assert amend(api, order_id, lots="2").ok() == first
    assert amend(api, order_id, lots="3").problem(409, "idempotency_conflict")["field"] == "lots"
    api.patch(f"orders/{order_id}", {"lots": "1"}).problem(400, "idempotency_key_missing")
    assert api.get(f"orders/{order_id}").ok()["lots"] == "1"
    assert Intake.objects.filter(kind="amend_order").count() == 2


def test_a_refused_amendment_changes_nothing(live: LiveMarket) -> None:
    live.offer(1, 410)
    api = live.buyer("buyer-1", micros=1_300_000)
    order_id = place(api, price="4.000000", post_only="reject")
    before, holds, standing = state(), held(api), api.get(f"orders/{order_id}").ok()
    refusals: list[tuple[dict[str, Any], int, str, str | None]] = [
        ({}, 400, "invalid_order", "price"),
        ({"price": "4.205"}, 400, "price_off_tick", "price"),
        ({"price": "10.01"}, 422, "price_out_of_band", "price"),
        ({"price": 4}, 400, "invalid_request", None),
        ({"lots": "-1"}, 400, "invalid_quantity", "lots"),
        ({"lots": "1000001"}, 400, "invalid_quantity", "lots"),
        ({"lots": True}, 400, "invalid_quantity", "lots"),
        ({"side": "sell"}, 400, "invalid_request", None),
        ({"lots": "4"}, 422, "insufficient_funds", None),
        ({"price": "4.100000"}, 422, "post_only_would_trade", None),
    ]
    for number, (change, status, code, field) in enumerate(refusals):
        problem = amend(api, order_id, f"refused-{number}", **change).problem(status, code)
        assert problem.get("field") == field, change
        assert (state(), held(api), api.get(f"orders/{order_id}").ok()) == (before, holds, standing), change
    stranger = live.buyer("buyer-2")
    amend(stranger, order_id, lots="1").problem(404, "order_not_found")
    amend(stranger, str(2**70), lots="1").problem(404, "order_not_found")


def test_an_offers_order_is_not_changed_behind_the_offer(live: LiveMarket) -> None:
    order_id = live.offer(2, 410)["order_id"]
    amend(api_of(live.provider), order_id, lots="1").problem(403, "not_allowed")


def test_orders_are_cancelled_by_the_partys_own_name_for_them(live: LiveMarket) -> None:
    api = live.buyer("buyer-1")
    order_id = place(api)
    live.buyer("buyer-2").delete("orders/by-client-id/o-1").problem(404, "order_not_found")
    cancelled = api.delete("orders/by-client-id/o-1").ok()
    assert cancelled == {"order_id": order_id, "status": "cancelled", "cancelled_lots": "3"}
    assert api.delete("orders/by-client-id/o-1").problem(409, "order_not_open")["order_id"] == order_id


def test_all_orders_go_at_once_or_those_of_one_contract(live: LiveMarket) -> None:
    later = live.list_window(START + timedelta(hours=1))
    live.sweep()
    api, other = live.buyer("buyer-1"), live.buyer("buyer-2")
    for number, symbol in enumerate((SYMBOL, SYMBOL, later.symbol)):
        place(api, f"o-{number}", contract=symbol, lots="1")
    kept = place(other)
    assert api.delete("orders", {"contract": SYMBOL}).ok() == {"cancelled_orders": "2"}
    assert [each["contract"] for each in api.get("orders", {"status": "open"}).ok()["items"]] == [later.symbol]
    assert api.delete("orders").ok() == {"cancelled_orders": "1"}
    assert api.delete("orders").ok() == {"cancelled_orders": "0"}
    assert held(api) == "0.000000"
    assert other.get(f"orders/{kept}").ok()["status"] == "open"
    api.delete("orders", {"contract": "NOPE"}).problem(404, "unknown_contract")
    api.delete("orders", {"contrct": SYMBOL}).problem(400, "invalid_request")
    assert other.get(f"orders/{kept}").ok()["status"] == "open"


def test_silence_cancels_all_orders_unless_the_party_is_heard_of(live: LiveMarket) -> None:
    api, other = live.buyer("buyer-1"), live.buyer("buyer-2")
    order_id, kept = place(api), place(other)
    assert api.get("dead-man-switch").ok() == {"due_at": None}
    assert api.put("dead-man-switch", {"seconds": 60}).ok() == {"due_at": "2026-12-01T10:01:00Z"}
    live.clock.at = NOW + timedelta(seconds=59)
    assert api.put("dead-man-switch", {"seconds": 60}).ok() == {"due_at": "2026-12-01T10:01:59Z"}
    assert (api.get("dead-man-switch").ok(), other.get("dead-man-switch").ok()) == (
        {"due_at": "2026-12-01T10:01:59Z"},
        {"due_at": None},
    )
    live.clock.at = NOW + timedelta(seconds=61)
    place(other, "o-2", price="1", lots="1")  # whatever comes next
    assert api.get(f"orders/{order_id}").ok()["status"] == "open"
    live.clock.at = NOW + timedelta(seconds=119)
    place(other, "o-3", price="1", lots="1")
    gone = api.get(f"orders/{order_id}").ok()
    assert (gone["status"], gone["close_reason"], held(api)) == ("cancelled", "switched_off", "0.000000")
    assert other.get(f"orders/{kept}").ok()["status"] == "open"
    assert api.get("dead-man-switch").ok() == {"due_at": None}


def test_a_switch_that_is_stopped_does_nothing(live: LiveMarket) -> None:
    api = live.buyer("buyer-1")
    order_id = place(api)
    api.put("dead-man-switch", {"seconds": 60}).ok()
    assert api.put("dead-man-switch", {"seconds": 0}).ok() == {"due_at": None}
    live.clock.at = NOW + timedelta(hours=1)
    live.buyer("buyer-2").post("orders", order(price="1", lots="1")).ok(201)
    assert api.get(f"orders/{order_id}").ok()["status"] == "open"
    before = Intake.objects.count()
    for body in ({}, {"seconds": -1}, {"seconds": 86_401}, {"seconds": "60"}, {"seconds": True}, {"second": 60}):
        api.put("dead-man-switch", body).problem(400, "invalid_request")
    assert Intake.objects.count() == before


def test_only_a_key_to_trade_changes_orders(live: LiveMarket) -> None:
    party = live.party("buyer-1")
    order_id = place(api_of(party))
    reading = api_of(party, Scope.READ)
    before = Intake.objects.count()
    for answer in (
        amend(reading, order_id, lots="1"),
        reading.delete("orders"),
        reading.delete("orders/by-client-id/o-1"),
        reading.put("dead-man-switch", {"seconds": 1}),
        reading.post("orders/batch", {"items": [{"action": "cancel", "order_id": order_id}]}, idempotency_key="k"),
    ):
        assert answer.problem(403, "not_allowed")["required_scopes"] == ["trade"]
    assert Intake.objects.count() == before
    assert reading.get("prevented-matches").ok()["items"] == []
    assert reading.get("dead-man-switch").ok() == {"due_at": None}
    assert api_of(party, Scope.METER).get("prevented-matches").problem(403, "not_allowed")


def test_changes_without_an_outcome_in_time_are_pending(live: LiveMarket, monkeypatch: Any) -> None:
    api = live.buyer("buyer-1")
    order_id = place(api)
    monkeypatch.setattr("exchange.api.placing.OUTCOME_SECONDS", 0)
    asked = {
        f"/api/v1/orders/{order_id}": lambda: amend(api, order_id, lots="2"),
        "/api/v1/dead-man-switch": lambda: api.put("dead-man-switch", {"seconds": 60}),
        "/api/v1/orders?status=open": lambda: api.delete("orders"),
    }
    last = Intake.objects.latest("seq").seq
    with transaction.atomic():
        journal.lock_head()  # the sequencer waits here
        with ThreadPoolExecutor(1) as other:
            for address, ask in asked.items():
                pending = other.submit(_in_thread, ask).result()
                assert pending.ok(202)["code"] == "outcome_pending"
                assert pending.headers["Location"] == address
    monkeypatch.undo()
    seqs = [last + 1, last + 2, last + 3]
    assert [answer["status"] for answer in await_results(seqs).values()] == ["accepted"] * 3
    assert amend(api, order_id, lots="2").ok()["lots"] == "2"  # the same request again finds its outcome
    assert api.get(f"orders/{order_id}").ok()["status"] == "cancelled"


def test_many_hands_amending_and_cancelling_leave_one_story(live: LiveMarket) -> None:
    api, together = live.buyer("buyer-1"), threading.Barrier(6)
    order_id = place(api, lots="9")

    def change(hand: int) -> Answer:
        together.wait(10)
        return _in_thread(lambda: amend(Api(api.key), order_id, f"k-{hand}", lots=str(hand)))

    with ThreadPoolExecutor(6) as hands:
        answers = list(hands.map(change, range(6)))
    assert {answer.status for answer in answers} <= {200, 409}
    assert answers[0].status == 200  # nothing left: the order is closed, and whoever came later is told so
    assert api.get(f"orders/{order_id}").ok()["status"] == "cancelled"
    assert held(api) == "0.000000"


def _in_thread(call: Any) -> Answer:
    """A call on a connection of its own, which it closes."""
    try:
        answer: Answer = call()
        return answer
    finally:
        connection.close()
