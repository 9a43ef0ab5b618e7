"""What trading costs, over REST."""

from __future__ import annotations

from datetime import datetime, timedelta

from exchange.commands.set_fee_schedule import SetFeeSchedule, set_fee_schedule
from exchange.fee_schedule import Basis, FeeSchedule, Rates, Tier
from exchange.fees import count_volumes
from tests.api.client import Api
from tests.api.live_market import LiveMarket, api_of, order
from tests.integration.exchange.market import ACTOR, CODE, NOW

SCHEDULE = FeeSchedule(
    Basis.CONTRACT,
    (
        Tier(0, Rates(1_000_000, 1_000_000), Rates(1_000_000, 1_000_000)),
        Tier(1_000_000, Rates(500_000, 750_000), Rates(0, 900_000)),
    ),
)
RATES = {
    "buyer_maker_ppm": 500_000,
    "buyer_taker_ppm": 750_000,
    "provider_maker_ppm": 0,
    "provider_taker_ppm": 900_000,
}
WHOLE = dict.fromkeys(RATES, 1_000_000)


def announce(product: str | None, begins: datetime) -> None:
    set_fee_schedule(SetFeeSchedule("CNY", product, SCHEDULE, begins, "for tests"), actor=ACTOR, now=NOW)


def test_everybody_reads_what_is_in_force_and_what_is_announced(live: LiveMarket) -> None:
    assert Api().get("fees").ok() == {"items": []}
    announce(None, NOW)
    announce(CODE, NOW + timedelta(hours=2))
    announce(CODE, NOW + timedelta(hours=1))
    whole, *coming = Api("wrong key").get("fees").ok()["items"]
    assert whole == {
        "product": None,
        "currency": "CNY",
        "version": 1,
        "valid_from": "2026-12-01T10:00:00Z",
        "in_force": True,
        "basis": "contract",
        "tiers": [{"volume": "0.000000", **WHOLE}, {"volume": "1.000000", **RATES}],
    }
    assert [(each["product"], each["version"], each["in_force"]) for each in coming] == [
        (CODE, 1, False),
        (CODE, 2, False),
    ]
    live.clock.at = NOW + timedelta(hours=3)
    assert [(each["product"], each["version"]) for each in Api().get("fees").ok()["items"]] == [(None, 1), (CODE, 2)]


def test_a_party_reads_its_own_tier_and_pays_by_it(live: LiveMarket) -> None:
    announce(CODE, NOW)
    live.offer(10, 400)
    buyer = live.buyer("buyer-1")
    (own,) = buyer.get("fees/own").ok()["items"]
    assert own == {
        "product": CODE,
        "currency": "CNY",
        "version": 1,
        "volume": "0.000000",
        "counted_at": None,
        "tier": 1,
        "next_volume": "1.000000",
        "basis": "contract",
        "rates": WHOLE,
    }
    assert buyer.post("orders", order(lots="3")).ok(201)["fee"] == "0.002400"  # 1.2 at 20 bp
    count_volumes(NOW)
    (own,) = buyer.get("fees/own").ok()["items"]
    assert own | {"volume": "1.200000", "tier": 2, "next_volume": None, "rates": RATES} == own
    assert own["counted_at"] == "2026-12-01T10:00:00Z"
    assert buyer.post("orders", order("o-2", lots="3")).ok(201)["fee"] == "0.001800"
    (sold,) = api_of(live.provider).get("fees/own").ok()["items"]
    assert (sold["volume"], sold["tier"]) == ("1.200000", 2)
    (none,) = live.buyer("buyer-2").get("fees/own").ok()["items"]
    assert (none["volume"], none["tier"]) == ("0.000000", 1)
    assert Api().get("fees/own").status == 401


def test_a_repeat_is_answered_as_before_although_its_rates_would_be_others_now(live: LiveMarket) -> None:
    live.offer(10, 400)
    buyer = live.buyer("buyer-1")
    first = buyer.post("orders", order(lots="3")).ok(201)
    announce(CODE, NOW)
    count_volumes(NOW)
    assert buyer.post("orders", order(lots="3")).ok(200) == first
