"""Public market data over REST, and what a party sees of its positions."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from datetime import timedelta
from urllib.parse import quote

import rfc8785

from exchange.commands.list_product import ListProduct, list_product
from exchange.commands.pause_offer import PauseOffer, pause_offer
from tests.api.client import Api
from tests.api.live_market import LiveMarket, api_of, order
from tests.integration.exchange.market import ACTOR, CODE, NOW, START, SYMBOL, TERMS
from tests.integration.exchange.offering import offer

PUBLIC = ("time", "products", f"products/{CODE}", "contracts", f"contracts/{SYMBOL}", "offers", "problems")


def test_everybody_may_look_at_the_market(live: LiveMarket) -> None:
    live.offer(10, 400)
    live.offer(2, 410)
    live.buyer("buyer-1").post("orders", order(lots="3")).ok(201)
    live.buyer("buyer-2").post("orders", order(lots="4", price="3.9")).ok(201)
    public = Api()
    for path in PUBLIC:
        public.get(path).ok()
        Api("wrong key").get(path).ok()
    assert public.get("time").ok() == {"now": "2026-12-01T10:00:00Z"}
    book = public.get(f"contracts/{SYMBOL}/book").ok()
    assert book == {
        "contract": SYMBOL,
        "state": "trading",
        "sequence": "4",
        "bids": [{"price": "3.900000", "lots": "4", "orders": "1"}],
        "asks": [
            {"price": "4.000000", "lots": "7", "orders": "1"},
            {"price": "4.100000", "lots": "2", "orders": "1"},
        ],
        "complete": True,
    }
    assert public.get(f"contracts/{SYMBOL}/book", {"depth": "1"}).ok()["asks"] == book["asks"][:1]
    (trade,) = public.get(f"contracts/{SYMBOL}/trades").ok()["items"]
    assert trade == {
        "trade_no": "1",
        "price": "4.000000",
        "lots": "3",
        "tokens": "300000",
        "taker_side": "buy",
        "executed_at": "2026-12-01T10:00:00Z",
        "reversed_at": None,
    }
    everything = str([public.get(path).body for path in (f"contracts/{SYMBOL}", f"contracts/{SYMBOL}/trades")]) + str(
        book
    )
    assert "buyer-" not in everything
    assert "provider-" not in everything


def test_a_contract_is_described_in_outside_units(live: LiveMarket) -> None:
    api = Api()
    contract = api.get(f"contracts/{SYMBOL}").ok()
    assert api.get(f"contracts/{quote(SYMBOL, safe='')}").ok() == contract
    assert api.get("contracts").ok() == {"items": [contract], "next_cursor": None}
    product = api.get(f"products/{CODE}").ok()
    assert contract == {
        "symbol": SYMBOL,
        "product": CODE,
        "currency": "CNY",
        "terms_hash": product["terms_hash"],
        "delivery_start": "2026-12-01T14:00:00Z",
        "delivery_end": "2026-12-01T15:00:00Z",
        "gate_open": "2026-12-01T09:00:00Z",
        "gate_close": "2026-12-01T13:30:00Z",
        "state": "trading",
        "lot_tokens": "100000",
        "tick": "0.010000",
        "listing_price": "4.200000",
        "band_low": "0.010000",
        "band_high": "10.000000",
        "bond_per_lot": "1.000000",
        "last_price": None,
        "last_trade_no": "0",
        "traded_lots": "0",
        "reference_price": None,
        "reference_step": "",
        "obligations_hash": None,
    }
    assert (product["lot_tokens"], product["tick"], product["terms_version"]) == ("100000", "0.010000", 1)
    assert hashlib.sha256(rfc8785.dumps(product["terms"])).hexdigest() == product["terms_hash"]


def test_contracts_are_narrowed_and_paged_by_delivery(live: LiveMarket) -> None:
    list_product(ListProduct("OTHER.CN-EAST.STD", "", TERMS), actor=ACTOR, now=NOW)
    for hours in (3, 1, 2):
        live.list_window(START + timedelta(hours=hours), gate_open=NOW + timedelta(hours=1))
    live.list_window(START + timedelta(hours=1), product_code="OTHER.CN-EAST.STD")
    api = Api()
    everything = [each["symbol"] for each in api.get("contracts").ok()["items"]]
    assert len(everything) == 5
    seen: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(3):
        page = api.get("contracts", {"limit": "2"} | cursor).ok()
        seen += [each["symbol"] for each in page["items"]]
        cursor = {"cursor": page["next_cursor"]}
    assert seen == everything
    assert page["next_cursor"] is None
    for query, count in (
        ({"product": CODE}, 4),
        ({"product": CODE, "state": "listed"}, 3),
        ({"state": "trading"}, 1),
        ({"delivery_from": "2026-12-01T15:00:00Z", "delivery_before": "2026-12-01T16:00:00Z"}, 2),
        ({"delivery_from": "2026-12-02T14:00:00+23:00"}, 4),  # no offset that PostgreSQL takes
        ({"product": "NOPE"}, 0),
    ):
        assert len(api.get("contracts", query).ok()["items"]) == count, query
    for wrong in ({"state": "gone"}, {"delivery_from": "soon"}, {"produkt": CODE}, {"cursor": "WyIxIl0"}):
        assert api.get("contracts", wrong).status == 400, wrong
    for start in ("2026-12-01", "2026-12-01 14:00:00", "2026-12-01 14:00:00+08:00", "0001-01-01 00:00:00+23:59"):
        forged = urlsafe_b64encode(json.dumps([start, "1"]).encode()).decode()
        api.get("contracts", {"cursor": forged}).problem(400, "invalid_cursor")


def test_what_is_not_there_has_a_code_of_its_own(live: LiveMarket) -> None:
    api = Api()
    for path in (
        "contracts/NOPE",
        "contracts/NOPE@20261201T14/1H/book",
        "contracts/a/b/trades",
        "contracts/%F0%9F%92%A9",
    ):
        api.get(path).problem(404, "unknown_contract")
    api.get("products/NOPE").problem(404, "unknown_product")
    api.get("contracts/%00").problem(404, "route_not_found")
    api.get("products/%00").problem(404, "route_not_found")
    for depth in ("0", "-1", "10001", "x", "1.5"):
        api.get(f"contracts/{SYMBOL}/book", {"depth": depth}).problem(400, "invalid_amount")


def test_offers_are_listed_by_provider_and_window(live: LiveMarket) -> None:
    live.offer(10, 400)
    api = Api()
    wanted = {"product": CODE, "provider": "provider-1", "window": "1H", "state": "open"}
    (shown,) = api.get("offers", wanted).ok()["items"]
    assert shown == {
        "id": shown["id"],
        "provider": "provider-1",
        "product": CODE,
        "currency": "CNY",
        "window": "1H",
        "first_delivery": "2026-12-01T14:00:00Z",
        "last_delivery": "2026-12-01T14:00:00Z",
        "weekdays": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
        "lots": "10",
        "price": "4.000000",
        "hourly_prices": None,
        "state": "open",
        "created_at": "2026-12-01T10:00:00Z",
    }
    assert api.get("offers", {"window": "10MIN"}).ok()["items"] == []
    api.get("offers", {"window": "1 hour"}).problem(400, "invalid_window")


def test_an_offer_shows_its_weekdays_hours_and_state(live: LiveMarket) -> None:
    curve = (None,) * 14 + (420,) * 2 + (400,) * 8
    posted = offer(live, windows=24, price_ticks=curve, weekdays=frozenset({1, 5}))
    pause_offer(PauseOffer(posted.offer_id, live.provider.id), actor=ACTOR, now=NOW)
    (shown,) = Api().get("offers", {"state": "paused"}).ok()["items"]
    assert shown["weekdays"] == ["Tue", "Sat"]
    assert shown["price"] == "4.000000"
    assert shown["hourly_prices"] == [None] * 14 + ["4.200000"] * 2 + ["4.000000"] * 8
    assert Api().get("offers", {"state": "open"}).ok()["items"] == []


def test_the_counterparty_and_the_way_to_it_are_told_at_the_gate(live: LiveMarket) -> None:
    live.offer(10, 400)
    buyer, stranger = live.buyer("buyer-1"), live.buyer("buyer-2")
    buyer.post("orders", order(overage_permille=100)).ok(201)
    buyer.post("orders", order("o-2", lots="2")).ok(201)
    before = buyer.get(f"positions/{SYMBOL}").ok()
    assert before["delivery"] == []
    (position,) = before["items"]
    assert position == {
        "contract": SYMBOL,
        "contract_state": "trading",
        "delivery_start": "2026-12-01T14:00:00Z",
        "delivery_end": "2026-12-01T15:00:00Z",
        "side": "buy",
        "counterparty": None,
        "tokens": "500000",
        "notional": "2.000000",
        "overage_tokens": "30000",
    }
    assert buyer.get("positions").ok() == {"items": [position]}
    live.clock.at = START - timedelta(minutes=30)
    live.sweep()
    after = buyer.get(f"positions/{SYMBOL}").ok()
    assert after["items"] == [position | {"contract_state": "closed", "counterparty": "provider-1"}]
    (delivery,) = after["delivery"]
    assert delivery == {
        "buyer": "buyer-1",
        "provider": "provider-1",
        "tokens": "500000",
        "overage_tokens": "30000",
        "rate_tokens": "100000",
        "max_request_tokens": "100000",
        "base_url": "https://api.example.com/v1",
        "model_name": "qwen3-235b",
        "access": "A key is sent to each buyer at the gate.",
    }
    sold = api_of(live.provider).get(f"positions/{SYMBOL}").ok()
    assert [(each["side"], each["counterparty"]) for each in sold["items"]] == [("sell", "buyer-1")]
    assert sold["delivery"] == [delivery]
    stranger.get(f"positions/{SYMBOL}").problem(404, "position_not_found")
    stranger.get("positions/NOPE").problem(404, "unknown_contract")
    assert stranger.get("positions").ok() == {"items": []}
    entitlement = next(each for each in buyer.get("balances").ok()["items"] if each["role"] == "entitlement")
    assert (entitlement["asset"], entitlement["balance"], entitlement["available"]) == (SYMBOL, "500000", "500000")
