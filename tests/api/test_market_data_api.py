"""Market data over REST: a copy of the book kept by its changes, candles, statistics, quotes and curves."""

from __future__ import annotations

import random
import threading
from datetime import timedelta
from typing import Any

from django.db import connection

from exchange.market_data.replica import Replica, read_delta, replica_of
from exchange.market_data.rollup import roll_up
from exchange.models import DecisionKind, Fill
from tests.api.client import Api
from tests.api.live_market import LiveMarket, order
from tests.integration.exchange.market import CODE, NOW, START, SYMBOL
from tests.two_operators import decide

BOOK = f"contracts/{SYMBOL}/book"
DELTAS = f"contracts/{SYMBOL}/book/deltas"
CANDLES = f"contracts/{SYMBOL}/candles"
STATISTICS = f"contracts/{SYMBOL}/statistics"
CURVE = f"products/{CODE}/curve"
ORDERS = 40


def catch_up(api: Api, copy: Replica) -> None:
    """Apply what came after a copy, in small pages, until it is level with the book."""
    while True:
        page = api.get(DELTAS, {"after": str(copy.sequence), "limit": "3"}).ok()
        for item in page["items"]:
            assert copy.apply(read_delta(item))
        if copy.sequence == int(page["sequence"]):
            return


def test_a_client_keeps_a_copy_of_the_book(live: LiveMarket) -> None:
    api, buyer = Api(), live.buyer("buyer-1")
    early = replica_of(api.get(BOOK, {"depth": "10000"}).ok())
    live.offer(10, 400)
    buyer.post("orders", order(lots="3")).ok(201)
    buyer.post("orders", order("o-2", lots="4", price="3.9")).ok(201)
    assert api.get(DELTAS, {"after": "0"}).ok() == {
        "contract": SYMBOL,
        "sequence": "3",
        "items": [
            {
                "sequence": "1",
                "moved_at": "2026-12-01T10:00:00Z",
                "bids": [],
                "asks": [{"price": "4.000000", "lots": "10", "orders": "1"}],
                "trades": [],
                "busted": [],
            },
            {
                "sequence": "2",
                "moved_at": "2026-12-01T10:00:00Z",
                "bids": [],
                "asks": [{"price": "4.000000", "lots": "7", "orders": "1"}],
                "trades": [{"trade_no": "1", "price": "4.000000", "lots": "3", "taker_side": "buy"}],
                "busted": [],
            },
            {
                "sequence": "3",
                "moved_at": "2026-12-01T10:00:00Z",
                "bids": [{"price": "3.900000", "lots": "4", "orders": "1"}],
                "asks": [],
                "trades": [],
                "busted": [],
            },
        ],
    }
    late = replica_of(api.get(BOOK, {"depth": "10000"}).ok())
    catch_up(api, early)
    assert early == late
    buyer.post("orders", order("o-3", lots="8")).ok(201)  # takes the whole ask, and rests
    catch_up(api, early)
    assert early == replica_of(api.get(BOOK).ok())
    assert not early.asks
    assert api.get(BOOK, {"depth": "1"}).ok()["complete"] is False
    assert api.get(BOOK, {"depth": "2"}).ok()["complete"] is True


def test_every_snapshot_is_the_book_at_its_sequence_while_it_moves(live: LiveMarket) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    buyer, seen, stop = live.buyer("buyer-1"), [], threading.Event()

    def look() -> None:
        try:
            while not stop.is_set():
                seen.append(replica_of(Api().get(BOOK, {"depth": "10000"}).ok()))
        finally:
            connection.close()

    watcher = threading.Thread(target=look, name="watcher")
    watcher.start()
    try:
        live.offer(200, 410)
        for number in range(ORDERS):
            price, lots = f"{dice.randint(395, 412) / 100:.2f}", str(dice.randint(1, 9))
            buyer.post("orders", order(f"o-{number}", price=price, lots=lots)).ok(201)
    finally:
        stop.set()
        watcher.join(30)
    copy = Replica()
    books = {0: Replica()}
    while (page := Api().get(DELTAS, {"after": str(copy.sequence)}).ok())["items"]:
        for item in page["items"]:
            assert copy.apply(read_delta(item))
            books[copy.sequence] = Replica(copy.sequence, dict(copy.bids), dict(copy.asks))
    assert len(seen) > 1
    for snapshot in seen:
        assert snapshot == books[snapshot.sequence]
    assert copy == replica_of(Api().get(BOOK, {"depth": "10000"}).ok())


def test_what_cannot_be_asked_of_changes(live: LiveMarket) -> None:
    api = Api()
    refused = api.get(DELTAS, {"after": "1"}).problem(409, "book_snapshot_needed")
    assert (refused["after"], refused["sequence"]) == ("1", "0")
    api.get("contracts/NOPE/book/deltas", {"after": "0"}).problem(404, "unknown_contract")
    for query in ({}, {"after": "0", "afetr": "1"}):
        api.get(DELTAS, query).problem(400, "invalid_request")
    for query in ({"after": "-1"}, {"after": "x"}, {"after": "0", "limit": "0"}, {"after": "0", "limit": "1001"}):
        api.get(DELTAS, query).problem(400, "invalid_amount")


def test_candles_and_statistics_in_outside_units(live: LiveMarket) -> None:
    api, buyer = Api(), live.buyer("buyer-1")
    assert api.get(STATISTICS).ok()["figures"] is None
    assert api.get(CANDLES, {"interval": "1m"}).ok()["items"] == []
    live.offer(2, 400)
    live.offer(9, 405)
    buyer.post("orders", order(lots="3")).ok(201)  # 2 at 4.00 and 1 at 4.05
    roll_up()
    live.clock.at = NOW + timedelta(minutes=1)
    buyer.post("orders", order("o-2", lots="1")).ok(201)
    first = {
        "starts_at": "2026-12-01T10:00:00Z",
        "ends_at": "2026-12-01T10:01:00Z",
        "open": "4.000000",
        "high": "4.050000",
        "low": "4.000000",
        "close": "4.050000",
        "vwap": "4.016666",
        "lots": "3",
        "tokens": "300000",
        "notional": "1.205000",
        "trades": "2",
    }
    candles = api.get(CANDLES, {"interval": "1m"}).ok()
    assert candles["items"][1:] == [first]
    assert {name: candles[name] for name in ("contract", "interval", "next_before")} == {
        "contract": SYMBOL,
        "interval": "1m",
        "next_before": None,
    }
    newest = api.get(CANDLES, {"interval": "1m", "limit": "1"}).ok()
    assert newest["items"] == candles["items"][:1]
    older = api.get(CANDLES, {"interval": "1m", "limit": "1", "start_before": newest["next_before"]}).ok()
    assert older["items"] == [first]
    assert api.get(CANDLES, {"interval": "1m", "start_from": "2026-12-01T10:00:01Z"}).ok()["items"] == newest["items"]
    (day,) = api.get(CANDLES, {"interval": "1d"}).ok()["items"]
    assert (day["starts_at"], day["trades"], day["notional"]) == ("2026-12-01T00:00:00Z", "3", "1.610000")
    statistics = api.get(STATISTICS).ok()
    assert (statistics["since"], statistics["until"]) == ("2026-11-30T10:01:00Z", "2026-12-01T10:01:00Z")
    assert statistics["figures"] == {name: day[name] for name in day if not name.endswith("_at")}
    take_back_first_trade(live)
    (day,) = api.get(CANDLES, {"interval": "1d"}).ok()["items"]
    assert (day["open"], day["trades"]) == ("4.050000", "2")
    trades = api.get(f"contracts/{SYMBOL}/trades").ok()["items"]
    assert [each["reversed_at"] for each in trades] == [None, None, "2026-12-01T10:01:00Z"]


def take_back_first_trade(live: LiveMarket) -> None:
    fill = Fill.objects.get(trade_no=1)
    (result,) = live.results(decide(DecisionKind.BUST_FILL, str(fill.id), now=NOW))
    assert result["status"] == "accepted", result


def test_what_cannot_be_asked_of_candles_and_statistics(live: LiveMarket) -> None:
    api = Api()
    for query in (
        {},
        {"interval": "2m"},
        {"interval": "1m", "start_from": "soon"},
        {"interval": "1m", "start_before": "2026-12-01T10:00:00Z\0"},
        {"interval": "1m", "from": "2026-12-01T10:00:00Z"},
    ):
        api.get(CANDLES, query).problem(400, "invalid_request")
    for limit in ("0", "1001", "x"):
        api.get(CANDLES, {"interval": "1m", "limit": limit}).problem(400, "invalid_amount")
    for instant in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        query = {"interval": "1d", "start_from": instant, "start_before": instant}
        assert api.get(CANDLES, query).ok()["items"] == []
    api.get(STATISTICS, {"hours": "24"}).problem(400, "invalid_request")
    for path in ("candles", "statistics"):
        api.get(f"contracts/NOPE/{path}", {"interval": "1m"} if path == "candles" else {}).problem(
            404, "unknown_contract"
        )


def test_best_prices_of_many_contracts_at_once(live: LiveMarket) -> None:
    later = live.list_window(START + timedelta(hours=1))
    live.list_window(START + timedelta(hours=2), gate_open=NOW + timedelta(hours=1))
    live.sweep()
    api, buyer = Api(), live.buyer("buyer-1")
    live.offer(5, 400)
    live.offer(2, 410)
    buyer.post("orders", order(lots="1")).ok(201)
    buyer.post("orders", order("o-2", lots="3", price="3.9")).ok(201)
    quote = {
        "contract": SYMBOL,
        "state": "trading",
        "sequence": "4",
        "bid": {"price": "3.900000", "lots": "3"},
        "ask": {"price": "4.000000", "lots": "4"},
        "last_price": "4.000000",
    }
    nothing = {"contract": later.symbol, "state": "trading", "sequence": "0", "bid": None, "ask": None}
    everything = api.get("quotes").ok()["items"]
    assert everything[:2] == [quote, nothing | {"last_price": None}]
    assert len(everything) == 3
    assert api.get("quotes", {"contract": f"{SYMBOL},{later.symbol}"}).ok()["items"] == everything[:2]
    assert api.get("quotes", {"state": "trading", "limit": "1"}).ok()["items"] == everything[:1]
    assert api.get("quotes", {"contract": "NOPE"}).ok()["items"] == []
    api.get("quotes", {"symbol": SYMBOL}).problem(400, "invalid_request")


def test_the_curve_prices_a_quantity_in_each_window(live: LiveMarket) -> None:
    later = live.list_window(START + timedelta(hours=1))
    live.list_window(START, 600, gate_close=START)
    live.sweep()
    api = Api()
    live.offer(5, 400)
    live.offer(4, 410)
    live.offer(3, 390, START + timedelta(hours=1))

    def curve(**query: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = api.get(CURVE, {"window": "1H"} | query).ok()["items"]
        return items

    first, second = curve(lots="7")
    assert first == {
        "contract": SYMBOL,
        "state": "trading",
        "sequence": "2",
        "bid": None,
        "ask": {"price": "4.000000", "lots": "5"},
        "last_price": None,
        "window": "1H",
        "delivery_start": "2026-12-01T14:00:00Z",
        "delivery_end": "2026-12-01T15:00:00Z",
        "asked_lots": "9",
        "buy": {"lots": "7", "price": "4.028572", "limit_price": "4.100000", "notional": "2.820000"},
    }
    assert (second["contract"], second["asked_lots"], second["buy"]) == (later.symbol, "3", None)
    assert [each["buy"]["price"] for each in curve()] == ["4.000000", "3.900000"]
    assert len(curve(delivery_from="2026-12-01T15:00:00Z")) == 1
    assert [each["window"] for each in api.get(CURVE, {"limit": "2"}).ok()["items"]] == ["1H", "10MIN"]
    for lots in ("0", "-1", "x", "1000001"):
        api.get(CURVE, {"lots": lots}).problem(400, "invalid_quantity")
    api.get(CURVE, {"window": "1 hour"}).problem(400, "invalid_window")
    api.get(CURVE, {"lot": "1"}).problem(400, "invalid_request")
    api.get("products/NOPE/curve").problem(404, "unknown_product")
