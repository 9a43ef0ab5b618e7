"""Usage by minute and its completeness over REST: who sees what of whom, and when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ledger.parties.keys import Scope
from settlement.metering.rollups import roll_up
from tests.api.client import Api
from tests.api.live_market import MarketClock, api_of
from tests.integration.settlement.trading_day import END, START, SYMBOL, TradingDay
from tests.integration.settlement.usage_calls import Calls

MINUTE = timedelta(minutes=1)


@pytest.fixture
def day(stopped_clock: None) -> TradingDay:
    clock: Any = MarketClock()
    return TradingDay(clock)


@pytest.fixture
def going_on(day: TradingDay) -> Calls:
    """Three minutes of the provider, one of them also of the buyer, and what a second buyer told of the same."""
    calls = Calls(day)
    calls.report(*[calls.event(id, accepted_at=START + at * MINUTE) for at, id in enumerate(("a", "b", "c"))])
    calls.report(calls.event("x", by="buyer-1"), watermarks=[calls.watermark(["x"], by="buyer-1")])
    calls.report(calls.event(by="buyer-2", buyer_id=day.parties["buyer-2"].id))
    calls.report(calls.event("gone"), calls.correction("gone", kind="void"))
    while roll_up(now=START).calls:
        pass
    day.clock.at = END - timedelta(seconds=1)
    return calls


@pytest.fixture
def told(day: TradingDay, going_on: Calls) -> Calls:
    """The same when delivery has ended."""
    day.clock.at = END
    return going_on


def reader(day: TradingDay, code: str, *scopes: Scope) -> Api:
    return api_of(day.parties[code], *(scopes or (Scope.READ,)))


def minutes(api: Api, **query: str) -> list[tuple[str, str, str, str]]:
    items = api.get("usage-minutes", {"contract": SYMBOL} | query).ok()["items"]
    return [(item["minute"][11:16], item["buyer"], item["provider"], item["side"]) for item in items]


def states(api: Api) -> list[tuple[Any, ...]]:
    items = api.get("usage-completeness", {"contract": SYMBOL}).ok()["items"]
    return [(item["meter"], item["side"], item["state"], item["told"], item["received"]) for item in items]


def test_figures_come_by_minute_pair_and_side(day: TradingDay, told: Calls) -> None:
    answer = reader(day, "provider-1").get("usage-minutes", {"contract": SYMBOL, "limit": "1"}).ok()
    (item,) = answer["items"]
    assert item == {
        "contract": SYMBOL,
        "buyer": "buyer-1",
        "provider": "provider-1",
        "side": "buyer",
        "minute": "2026-12-01T14:00:00Z",
        "started": "0",
        "completed": "1",
        "refused": "0",
        "tokens": {
            "input_uncached": "1",
            "input_cache_read": "0",
            "input_cache_write_short": "0",
            "input_cache_write_long": "0",
            "input_tool": "0",
            "output_visible": "2",
            "output_reasoning": "0",
        },
        "contract_millitokens": "9000",
        "refused_contract_millitokens": "0",
    }
    assert answer["rolled_up_until"] == "2026-12-01T15:00:00Z"
    told.report(told.event(), at=START + timedelta(minutes=30))
    answer = reader(day, "provider-1").get("usage-minutes", {"contract": SYMBOL}).ok()
    assert answer["rolled_up_until"] == "2026-12-01T14:30:00Z"


def test_everybody_sees_their_own_pairs_and_the_auditor_all(day: TradingDay, told: Calls) -> None:
    first = [
        ("14:00", "buyer-1", "provider-1", "buyer"),
        ("14:00", "buyer-1", "provider-1", "provider"),
        ("14:01", "buyer-1", "provider-1", "provider"),
        ("14:02", "buyer-1", "provider-1", "provider"),
    ]
    second = ("14:00", "buyer-2", "provider-1", "buyer")
    assert minutes(reader(day, "buyer-1")) == first
    assert minutes(reader(day, "buyer-2")) == [second]
    assert minutes(reader(day, "buyer-3")) == minutes(reader(day, "provider-2")) == []
    everything = sorted([*first, second], key=lambda row: (row[0], row[1] == "buyer-2", row[3]))
    assert minutes(reader(day, "provider-1")) == everything
    assert minutes(reader(day, "house", Scope.AUDIT)) == everything


def test_the_other_side_is_shown_when_delivery_has_ended(day: TradingDay, going_on: Calls) -> None:
    assert minutes(reader(day, "buyer-1")) == [("14:00", "buyer-1", "provider-1", "buyer")]
    assert {row[3] for row in minutes(reader(day, "provider-1"))} == {"provider"}
    assert len(minutes(reader(day, "house", Scope.AUDIT))) == 5
    assert states(reader(day, "provider-1")) == [("meter/provider-1", "provider", "open", None, "5")]


def test_minutes_can_be_narrowed_down_and_paged_through(day: TradingDay, told: Calls) -> None:
    api = reader(day, "provider-1")
    some = {"minute_from": "2026-12-01T14:01:00Z", "minute_before": "2026-12-01T16:02:00+02:00"}
    assert minutes(api, **some) == [("14:01", "buyer-1", "provider-1", "provider")]
    whole, cursor = [], None
    while True:
        query = {"contract": SYMBOL, "limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = api.get("usage-minutes", query).ok()
        whole += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert whole == api.get("usage-minutes", {"contract": SYMBOL}).ok()["items"]
    assert len(whole) == 5


def test_completeness_tells_each_meter(day: TradingDay, told: Calls) -> None:
    buyer = ("meter/buyer-1", "buyer", "complete")
    other, provider = ("meter/buyer-2", "buyer", "open"), ("meter/provider-1", "provider", "open")
    assert states(reader(day, "buyer-1")) == [(*buyer, "1", "1"), (*provider, None, None)]
    assert states(reader(day, "provider-1")) == [(*buyer, None, None), (*other, None, None), (*provider, None, "5")]
    assert states(reader(day, "house", Scope.AUDIT)) == [
        (*buyer, "1", "1"),
        (*other, None, "1"),
        (*provider, None, "5"),
    ]
    assert states(reader(day, "buyer-3")) == []
    told.report(watermarks=[told.watermark(["a"], by="provider-1", sequence=3)])
    (item,) = reader(day, "provider-1", Scope.METER).get("usage-completeness", {"contract": SYMBOL}).ok()["items"][2:]
    assert (item["state"], item["up_to"]) == ("incomplete", "2026-12-01T15:00:00Z")
    assert item["missing_sequences"] == [{"first": "1", "last": "2"}]


@pytest.mark.parametrize("path", ["usage-minutes", "usage-completeness"])
def test_what_cannot_be_asked_is_refused(day: TradingDay, path: str) -> None:
    api = reader(day, "buyer-1")
    api.get(path).problem(400, "invalid_request")
    api.get(path, {"contract": SYMBOL, "buyer": "x"}).problem(400, "invalid_request")
    api.get(path, {"contract": "a\0b"}).problem(400, "invalid_request")
    reader(day, "buyer-1", Scope.TRADE).get(path, {"contract": SYMBOL}).problem(403, "not_allowed")
    Api().get(path, {"contract": SYMBOL}).problem(401, "not_authenticated")


def test_a_contract_that_there_is_not(day: TradingDay) -> None:
    api = reader(day, "buyer-1")
    assert api.get("usage-minutes", {"contract": "NO.SUCH"}).ok()["items"] == []
    api.get("usage-completeness", {"contract": "NO.SUCH"}).problem(404, "unknown_contract")
    api.get("usage-minutes", {"contract": SYMBOL, "minute_from": "yesterday"}).problem(400, "invalid_request")
