"""Every type of order over REST, from the request to the durable result."""

from __future__ import annotations

from datetime import timedelta

from exchange.models import Fill, TradeGroup
from ledger.models import Entry
from tests.api.client import Api
from tests.api.live_market import LiveMarket, api_of, order
from tests.integration.exchange.market import NOW, SYMBOL


def cash(api: Api) -> tuple[str, str]:
    """Balance and what is held of it."""
    (account,) = [each for each in api.get("balances").ok()["items"] if each["role"] == "cash"]
    return account["balance"], account["held"]


def test_a_market_order_takes_what_is_offered_and_never_rests(live: LiveMarket) -> None:
    live.offer(2, 400)
    live.offer(2, 410)
    api = live.buyer("buyer-1")
    placed = api.post("orders", order(type="market", price=None, lots="5", time_in_force=None)).ok(201)
    assert (placed["type"], placed["price"], placed["time_in_force"]) == ("market", "10.000000", "ioc")
    assert (placed["filled_lots"], placed["remaining_lots"]) == ("4", "1")
    assert (placed["status"], placed["close_reason"]) == ("cancelled", "ioc_remainder")
    assert [(fill["price"], fill["lots"]) for fill in placed["fills"]] == [("4.000000", "2"), ("4.100000", "2")]
    assert (placed["notional"], placed["fee"]) == ("1.620000", "0.003240")
    assert cash(api) == ("98.376760", "0.000000")


def test_a_market_order_stops_at_its_cap(live: LiveMarket) -> None:
    live.offer(2, 400)
    live.offer(2, 410)
    capped = order(type="market", price="4.05", lots="5", time_in_force=None)
    placed = live.buyer("buyer-1").post("orders", capped).ok(201)
    assert (placed["filled_lots"], placed["price"], placed["status"]) == ("2", "4.050000", "cancelled")


def test_a_budget_is_spent_fees_included_and_not_a_micro_more(live: LiveMarket) -> None:
    live.offer(2, 400)
    live.offer(9, 410)
    api = live.buyer("buyer-1")
    body = order(type="market", price=None, lots=None, budget="2.034059", time_in_force=None)
    placed = api.post("orders", body).ok(201)
    assert (placed["lots"], placed["remaining_lots"], placed["budget"]) == (None, None, "2.034059")
    assert (placed["filled_lots"], placed["status"], placed["close_reason"]) == ("4", "filled", "budget_spent")
    assert (placed["notional"], placed["fee"]) == ("1.620000", "0.003240")
    one_more = order("o-2", type="market", price=None, lots=None, budget="2.054100", time_in_force=None)
    assert live.buyer("buyer-2").post("orders", one_more).ok(201)["filled_lots"] == "5"  # 5 x 0.41 and 0.004100
    assert api.post("orders", body).ok(200) == placed
    standing = api.get(f"orders/{placed['order_id']}").ok()
    assert (standing["lots"], standing["remaining_lots"], standing["budget"]) == (None, None, "2.034059")
    assert (standing["filled_lots"], standing["type"]) == ("4", "market")
    assert api.get("orders").ok()["items"] == [standing]
    assert cash(api) == ("98.376760", "0.000000")


def test_a_budget_holds_no_more_than_itself(live: LiveMarket) -> None:
    live.offer(9, 410)
    poor = live.buyer("buyer-1", micros=1_000_000)
    body = order(type="market", price=None, lots=None, budget="1", time_in_force=None)
    assert poor.post("orders", body).ok(201)["filled_lots"] == "2"
    refused = poor.post("orders", body | {"client_order_id": "o-2"}).problem(422, "insufficient_funds")
    assert refused["available"] == "0.178360"


def test_fill_or_kill_trades_whole_or_leaves_the_book_alone(live: LiveMarket) -> None:
    live.offer(2, 400)
    api = live.buyer("buyer-1")
    book = api.get(f"contracts/{SYMBOL}/book").ok()
    killed = api.post("orders", order(time_in_force="fok")).ok(201)
    assert (killed["status"], killed["close_reason"], killed["fills"]) == ("cancelled", "fok_not_filled", [])
    assert api.get(f"contracts/{SYMBOL}/book").ok() == book
    assert cash(api) == ("100.000000", "0.000000")
    live.offer(1, 420)
    assert api.post("orders", order("o-2", time_in_force="fok")).ok(201)["status"] == "filled"


def test_post_only_never_takes(live: LiveMarket) -> None:
    live.offer(2, 400)
    api = live.buyer("buyer-1")
    entries = Entry.objects.count()
    problem = api.post("orders", order(post_only="reject")).problem(422, "post_only_would_trade")
    recorded = api.get(f"orders/{problem['order_id']}").ok()
    assert (recorded["status"], recorded["close_reason"]) == ("rejected", "post_only_would_trade")
    assert (Fill.objects.count(), Entry.objects.count(), cash(api)[1]) == (0, entries, "0.000000")
    moved = api.post("orders", order("o-2", post_only="reprice")).ok(201)
    assert (moved["status"], moved["price"]) == ("open", "3.990000")
    assert api.get(f"orders/{moved['order_id']}").ok()["price"] == "3.990000"
    assert cash(api)[1] == "1.199394"
    assert api.post("orders", order("o-2", post_only="reprice")).ok(200) == moved


def test_an_order_with_an_expiry_goes_by_itself(live: LiveMarket) -> None:
    api = live.buyer("buyer-1")
    body = order(time_in_force="gtd", expires_at="2026-12-01T12:00:00+01:00")
    placed = api.post("orders", body).ok(201)
    assert (placed["status"], placed["expires_at"]) == ("open", "2026-12-01T11:00:00Z")
    assert api.post("orders", body | {"expires_at": "2026-12-01T11:00:00Z"}).ok(200) == placed
    live.clock.at = NOW + timedelta(hours=1)
    live.buyer("buyer-2").post("orders", order(price="1", lots="1")).ok(201)  # whatever comes next
    gone = api.get(f"orders/{placed['order_id']}").ok()
    assert (gone["status"], gone["close_reason"], gone["closed_at"]) == ("expired", "expired", "2026-12-01T11:00:00Z")
    assert cash(api)[1] == "0.000000"
    assert api.post("orders", body).ok(200) == placed  # a repeat is answered as it was, though it would be too late


def test_a_prevented_trade_is_told_to_its_owner_alone(live: LiveMarket) -> None:
    live.offer(5, 400)
    sister = live.party("sister")
    TradeGroup.objects.create(party=sister, group_id=live.provider.id)
    both = api_of(sister)
    for number, how in enumerate(("cancel_newest", "decrement", "cancel_both")):
        both.post("orders", order(f"o-{number}", lots="2", self_trade=how)).ok(201)
    own = both.get("prevented-matches").ok()["items"]
    assert [(each["how"], each["price"], each["lots"], each["contract"]) for each in own] == [
        ("cancel_both", "4.000000", "2", SYMBOL),
        ("decrement", "4.000000", "2", SYMBOL),
        ("cancel_newest", "4.000000", "2", SYMBOL),
    ]
    assert len({each["maker_order_id"] for each in own}) == 1
    assert [each["taker_order_id"] for each in own] == [
        each["order_id"] for each in both.get("orders", {"side": "buy"}).ok()["items"]
    ]
    assert both.get("prevented-matches", {"contract": "NOPE"}).ok()["items"] == []
    assert live.buyer("buyer-1").get("prevented-matches").ok()["items"] == []
    assert not Fill.objects.exists()
