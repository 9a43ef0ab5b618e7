"""Many orders in one call: every item has an outcome of its own, and none stops another."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connection, transaction

from exchange.models import Intake, Order, SequencerBatch
from ledger import journal
from ledger.money import format_micros
from tests.api.client import Answer, Api
from tests.api.live_market import LiveMarket, order
from tests.api.test_orders_dry_run_api import whole_database
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.market import SYMBOL


def place(name: str, **changes: Any) -> dict[str, Any]:
    return {"action": "place", **order(name, **changes)}


def send(api: Api, *items: Any, key: str = "k-1", dry: bool = False) -> list[dict[str, Any]]:
    """The outcomes of a call."""
    answer = api.post(f"orders/batch?dry_run={str(dry).lower()}", {"items": items}, idempotency_key=key)
    outcomes: list[dict[str, Any]] = answer.ok()["items"]
    assert len(outcomes) == len(items)
    return outcomes


def codes(outcomes: list[dict[str, Any]]) -> list[tuple[int, str | None]]:
    return [(each["status"], each.get("problem", {}).get("code")) for each in outcomes]


def test_an_amendment_leaves_alone_what_it_does_not_name(live: LiveMarket) -> None:
    """Also what the item before it has changed."""
    api = live.buyer("buyer-1")
    standing = api.post("orders", order(price="3.900000", lots="10")).ok(201)["order_id"]
    outcomes = send(
        api,
        {"action": "amend", "order_id": standing, "lots": "2"},
        {"action": "amend", "order_id": standing, "price": "3.950000"},
    )
    assert [each["status"] for each in outcomes] == [200, 200]
    stands = api.get(f"orders/{standing}").ok()
    assert (stands["lots"], stands["price"]) == ("2", "3.950000")
    check_exchange()


def test_a_batch_is_decided_in_its_order_and_in_one_transaction(live: LiveMarket) -> None:
    live.offer(5, 400)
    api = live.buyer("buyer-1")
    standing = api.post("orders", order(price="3.900000")).ok(201)["order_id"]
    other = api.post("orders", order("o-2", price="3.900000")).ok(201)["order_id"]
    before = SequencerBatch.objects.count()
    outcomes = send(
        api,
        place("o-3", lots="2"),
        {"action": "amend", "order_id": standing, "lots": "1"},
        {"action": "cancel", "client_order_id": "o-2"},
        place("o-4", lots="4"),
    )
    assert [each["status"] for each in outcomes] == [201, 200, 200, 201]
    bought, amended, cancelled, rest = (each["result"] for each in outcomes)
    assert (bought["filled_lots"], bought["status"], bought["client_order_id"]) == ("2", "filled", "o-3")
    assert (amended["order_id"], amended["lots"], amended["kept_place"]) == (standing, "1", True)
    assert cancelled == {"order_id": other, "status": "cancelled", "cancelled_lots": "3"}
    assert (rest["filled_lots"], rest["remaining_lots"], rest["status"]) == ("3", "1", "open")
    assert SequencerBatch.objects.count() == before + 1
    seqs = list(Intake.objects.order_by("-seq").values_list("seq", flat=True)[:4])
    assert seqs == list(range(seqs[0], seqs[0] - 4, -1))
    check_exchange()


def test_what_is_wrong_with_one_item_stops_no_other(live: LiveMarket) -> None:
    api, stranger = live.buyer("buyer-1", micros=2_000_000), live.buyer("buyer-2")
    foreign = stranger.post("orders", order()).ok(201)["order_id"]
    items: list[tuple[Any, int, str | None]] = [
        (place("good-1", lots="1"), 201, None),
        ("cancel everything", 400, "invalid_request"),
        ({"action": "destroy"}, 400, "invalid_request"),
        ({"action": ["place"]}, 400, "invalid_request"),
        (place("bad-1", price=4.2), 400, "invalid_request"),
        (place("bad-2", lots="0"), 400, "invalid_quantity"),
        (place("bad-3", price="4.205"), 400, "price_off_tick"),
        (place("bad-4", price="10.01"), 422, "price_out_of_band"),
        (place("bad-5", contract="NOPE@20261201T14/1H"), 404, "unknown_contract"),
        (place("bad-6", colour="red"), 400, "invalid_request"),
        (place("bad-7", time_in_force="gtd"), 400, "invalid_order"),
        (place("bad-8", time_in_force="gtd", expires_at="2026-12-01T09:00:00Z"), 422, "expiry_out_of_range"),
        (place("poor", lots="9"), 422, "insufficient_funds"),
        ({"action": "cancel", "order_id": foreign}, 404, "order_not_found"),
        ({"action": "cancel", "client_order_id": "good-1"}, 404, "order_not_found"),  # not of an earlier call
        ({"action": "cancel", "order_id": str(2**63 - 1)}, 404, "order_not_found"),
        ({"action": "cancel", "order_id": str(2**63)}, 400, "invalid_amount"),
        ({"action": "cancel"}, 400, "invalid_request"),
        ({"action": "cancel", "order_id": "1", "client_order_id": "a"}, 400, "invalid_request"),
        ({"action": "amend", "order_id": foreign, "lots": "1"}, 404, "order_not_found"),
        ({"action": "amend", "order_id": foreign, "lots": "x"}, 400, "invalid_quantity"),
        (place("good-2", lots="1"), 201, None),
    ]
    untouched = whole_database()
    tried = send(api, *(item for item, _, _ in items), dry=True)
    assert whole_database() == untouched
    outcomes = send(api, *(item for item, _, _ in items))
    assert codes(outcomes) == [(status, code) for _, status, code in items]
    assert codes(tried) == [(status if code else 200, code) for _, status, code in items]
    for outcome in outcomes:
        if problem := outcome.get("problem"):
            assert problem["type"] == f"/problems/{problem['code']}"
            assert problem["detail"]
            assert problem["status"] == outcome["status"]
    assert set(Order.objects.filter(client_order_id__startswith="good").values_list("status", flat=True)) == {"open"}
    assert set(Intake.objects.exclude(client_order_id=None).values_list("client_order_id", flat=True)) == {
        "o-1",
        "good-1",
        "good-2",
        "poor",
    }


def test_repeats_and_conflicts_inside_a_batch_and_with_what_was_before(live: LiveMarket) -> None:
    api = live.buyer("buyer-1")
    first = api.post("orders", order("before")).ok(201)
    items = (
        place("before"),
        place("before", lots="4"),
        place("twice"),
        place("twice"),
        place("twice", price="4.1"),
        place("twice", type="market", price=None, time_in_force="ioc"),
    )
    tried = send(api, *items, dry=True)
    outcomes = send(api, *items)
    assert codes(outcomes) == [
        (200, None),
        (409, "client_order_id_conflict"),
        (201, None),
        (200, None),
        (409, "client_order_id_conflict"),
        (409, "client_order_id_conflict"),
    ]
    assert codes(tried) == [(200 if status < 300 else status, code) for status, code in codes(outcomes)]
    assert outcomes[0]["result"] == tried[0]["result"] == first
    assert outcomes[2]["result"] == outcomes[3]["result"]
    assert tried[2] == tried[3]
    assert [outcomes[i]["problem"]["field"] for i in (1, 4, 5)] == ["lots", "price", "type"]
    assert Order.objects.count() == 2


def test_a_repeated_batch_gets_the_first_outcomes_and_acts_once(live: LiveMarket) -> None:
    live.offer(9, 400)
    api = live.buyer("buyer-1")
    standing = api.post("orders", order(price="3.900000")).ok(201)["order_id"]
    items = (place("o-2"), {"action": "amend", "order_id": standing, "lots": "2"}, place("bad", lots="0"))
    first = send(api, *items)
    api.delete(f"orders/{standing}").ok()
    before = Intake.objects.count()
    with ThreadPoolExecutor(4) as hands:
        answers = list(hands.map(lambda _: _in_thread(api, items), range(4)))
    assert [answer.ok()["items"] for answer in answers] == [first] * 4
    assert Intake.objects.count() == before
    other = api.post("orders/batch", {"items": items[:1]}, idempotency_key="k-1")
    assert other.problem(409, "idempotency_conflict")["field"] == "items"
    api.post("orders/batch", {"items": items}).problem(400, "idempotency_key_missing")


def _in_thread(api: Api, items: Any) -> Answer:
    try:
        return Api(api.key).post("orders/batch", {"items": items}, idempotency_key="k-1")
    finally:
        connection.close()


def test_a_thousand_mixed_items_tell_what_really_happened(live: LiveMarket) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    for ticks in range(395, 405):
        live.offer(20, ticks)
    api = live.buyer("buyer-1", micros=1_000_000_000)
    ids = [
        outcome["result"]["order_id"]
        for outcome in send(api, *(place(f"first-{i}", price="3.80", lots="3") for i in range(300)), key="first")
    ]
    items: list[Any] = []
    for number in range(1_000):
        match dice.randrange(6):
            case 0:
                items.append({"action": "cancel", "order_id": dice.choice(ids)})
            case 1:
                items.append({"action": "amend", "client_order_id": f"first-{dice.randrange(300)}", "lots": "2"})
            case 2:
                items.append(dice.choice(("nonsense", place(f"o-{number}", lots="0"), {"action": "cancel"})))
            case _:
                price = format_micros(dice.randint(380, 410) * 10_000)
                items.append(place(f"o-{dice.randrange(1_200)}", price=price, lots=str(dice.randint(1, 4))))
    tried = send(api, *items, dry=True)
    outcomes = send(api, *items)
    assert codes(tried) == [(200 if status == 201 else status, code) for status, code in codes(outcomes)]
    for item, expected, outcome in zip(items, tried, outcomes, strict=True):
        if outcome["status"] == 201:
            real = outcome["result"]
            names = ("price", "filled_lots", "remaining_lots", "status", "close_reason", "notional", "fee")
            assert [expected["result"][name] for name in names] == [real[name] for name in names], item
            stands = Order.objects.get(id=real["order_id"])
            assert stands.client_order_id == item["client_order_id"]
            assert stands.lots == int(item["lots"])
        elif outcome["status"] == 200 and item["action"] == "cancel":
            assert Order.objects.get(id=outcome["result"]["order_id"]).status == "cancelled"
    assert {code for _, code in codes(outcomes)} >= {None, "order_not_open", "invalid_request", "invalid_quantity"}
    check_exchange()


def test_a_batch_as_a_whole_has_its_bounds(live: LiveMarket) -> None:
    api = live.buyer("buyer-1")
    before = Intake.objects.count()
    many = [{"action": "cancel", "order_id": "1"}] * 1_001
    bodies: list[Any] = [
        {},
        {"items": []},
        {"items": many},
        {"items": "all"},
        {"orders": []},
        [],
        {"items": [], "x": 1},
    ]
    for body in bodies:
        api.post("orders/batch", body, idempotency_key="k").problem(400, "invalid_request")
    huge = {"items": [place("o-1", contract="x" * 1_200_000)]}
    api.post("orders/batch", huge, idempotency_key="k").problem(413, "body_too_large")
    assert Intake.objects.count() == before


def test_items_without_an_outcome_in_time_are_pending(live: LiveMarket, monkeypatch: Any) -> None:
    api = live.buyer("buyer-1")
    monkeypatch.setattr("exchange.api.placing.OUTCOME_SECONDS", 0)
    items = (place("o-1"), place("bad", lots="0"))
    with transaction.atomic():
        journal.lock_head()  # the sequencer waits here
        with ThreadPoolExecutor(1) as other:
            pending, bad = other.submit(_in_thread, api, items).result().ok()["items"]
    order_id = str(Intake.objects.get(client_order_id="o-1").seq)
    assert pending == {
        "status": 202,
        "result": {"code": "outcome_pending", "order_id": order_id, "status": "pending"},
    }
    assert bad["problem"]["code"] == "invalid_quantity"
    monkeypatch.undo()
    decided, _ = send(api, *items)
    assert (decided["status"], decided["result"]["order_id"]) == (201, order_id)
    assert decided["result"]["contract"] == SYMBOL
