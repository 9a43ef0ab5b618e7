"""What providers declare that they can deliver, and how much of it they may sell."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from exchange.capacity import Allocation
from exchange.commands.declare_capacity import DeclareCapacity, declare_capacity
from exchange.commands.register_site import RegisterSite, register_site
from exchange.errors import AllocationExceeded, CapacityExceeded, InvalidCapacity, SiteNotFound, UnknownProduct
from exchange.models import CapacityDeclaration, Contract, ContractState
from exchange.selectors.capacity import list_sites
from exchange.selectors.exposure import list_exposures
from exchange.windows import DAY, MINUTE, MONTH, Window, window_at
from ledger.chart import Role
from ledger.errors import DomainError
from ledger.models import AccountChange, ActionLog
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.market import ACTOR, HOUR, LOT, NOW, START, SYMBOL, Market
from tests.integration.exchange.offering import offer, three_windows

CHEAP = {"band_high_ticks": 1, "listing_price_ticks": 1}  # so that the bond does not come first


def capacities(market: Market) -> dict[str, int]:
    """What the provider may sell in each contract."""
    exposures = list_exposures(ContractState.values, provider_ids=[market.provider.id])
    return {each.obligation.symbol: each.obligation.capacity_tokens for each in exposures}


def test_capacity_becomes_the_floor_of_the_obligation_with_evidence(market: Market) -> None:
    assert market.tokens(market.provider, Role.OBLIGATION).floor == -10_000 * HOUR
    market.declare(20_000, ppm=250_000)
    assert market.tokens(market.provider, Role.OBLIGATION).floor == -5_000 * HOUR
    change = AccountChange.objects.latest("id")
    assert (change.before, change.after, change.actor) == ("-36000000", "-18000000", ACTOR)
    assert ActionLog.objects.latest("id").action == "declare_capacity"


def test_capacity_below_what_is_sold_or_on_offer_is_refused_and_changes_nothing(market: Market) -> None:
    three_windows(market)
    market.results([order.seq for order in offer(market, lots=100).orders])
    market.buy(market.party("buyer-1"), 10, 400)
    with pytest.raises(CapacityExceeded) as refusal:
        market.declare(2_777)
    fields = refusal.value.fields
    assert fields["capacity_tokens"] == str(2_777 * HOUR)
    assert (fields["sold_tokens"], fields["offered_tokens"]) == ("1000000", "9000000")
    assert [each["sold_tokens"] for each in fields["contracts"]] == ["1000000", "0", "0"]
    assert [each["offered_tokens"] for each in fields["contracts"]] == ["9000000", "10000000", "10000000"]
    assert {each["capacity_tokens"] for each in fields["contracts"]} == {str(2_777 * HOUR)}
    assert fields["contracts_in_all"] == "3"
    assert fields["contracts"][0]["contract"] == fields["contract"] == SYMBOL
    assert "Nor can it in 2 others." in refusal.value.message
    assert CapacityDeclaration.objects.count() == 1
    assert set(capacities(market).values()) == {36_000_000}
    market.declare(2_778)
    assert set(capacities(market).values()) == {2_778 * HOUR}
    check_exchange()


def test_what_is_sold_keeps_its_part_of_the_site_until_it_is_delivered(market: Market) -> None:
    market.offer(360, 400)
    market.buy(market.party("buyer-1", micros=1_000_000_000), 360, 400)
    market.clock.at = market.contract.gate_close
    market.sweep()
    half_past = START + timedelta(minutes=30)
    market.list_window(half_past, 600, gate_close=half_past)  # still trades while the sold hour is delivered
    for at in (market.contract.gate_close, START + timedelta(minutes=10)):
        market.clock.at = at
        market.sweep()
        with pytest.raises(CapacityExceeded):
            market.declare(10_000, seconds=600)
    market.clock.at = START + timedelta(hours=1)
    market.declare(10_000, seconds=600)


def test_sites_of_a_provider_add_up_and_a_later_contract_gets_them(market: Market) -> None:
    second = register_site(RegisterSite(market.provider.id, "second", "cn-east"), actor=ACTOR, now=NOW)
    basis = {"watts": 1_000, "mtokens_per_joule": 10_000, "utilisation_ppm": 500_000}  # 5,000 tokens/s
    command = DeclareCapacity(market.provider.id, second.id, basis, (Allocation(market.product.id, HOUR, 1_000_000),))
    declare_capacity(command, actor=ACTOR, now=NOW)
    market.list_window(START + timedelta(hours=1))
    assert list(capacities(market).values()) == [15_000 * HOUR] * 2
    assert [(site.name, site.tokens_per_s) for site in list_sites(market.provider.id)] == [
        ("second", 5_000),
        ("site", 10_000),
    ]


def test_overlapping_windows_of_all_lengths_share_one_site(market: Market) -> None:
    def declare(*allocations: Allocation) -> None:
        command = DeclareCapacity(market.provider.id, market.site_id, {"tokens_per_s": 10_000}, allocations)
        declare_capacity(command, actor=ACTOR, now=NOW)

    with pytest.raises(AllocationExceeded) as refusal:
        declare(Allocation(market.product.id, HOUR, 600_000), Allocation(market.product.id, 86_400, 400_001))
    assert refusal.value.fields == {"total_ppm": 1_000_001, "limit_ppm": 1_000_000}
    declare(Allocation(market.product.id, HOUR, 600_000), Allocation(market.product.id, 86_400, 400_000))
    day = market.list_window(START.replace(hour=0) + timedelta(days=1), 86_400)
    capacity = capacities(market)
    assert capacity[day.symbol] == 4_000 * 86_400
    declare()
    assert set(capacities(market).values()) == {0}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"provider_id": 0}, SiteNotFound),
        ({"basis": {"tokens_per_s": 0}}, InvalidCapacity),
        ({"basis": {"watts": 1}}, InvalidCapacity),
        ({"allocations": (Allocation(0, HOUR, 1),)}, UnknownProduct),
        ({"allocations": (Allocation(0, 7, 1),)}, InvalidCapacity),
    ],
)
def test_a_malformed_declaration_is_refused(market: Market, change: dict[str, Any], error: type[DomainError]) -> None:
    figures: dict[str, Any] = {
        "provider_id": market.provider.id,
        "site_id": market.site_id,
        "basis": {"tokens_per_s": 1},
        "allocations": (),
    }
    with pytest.raises(error):
        declare_capacity(DeclareCapacity(**(figures | change)), actor=ACTOR, now=NOW)
    assert CapacityDeclaration.objects.count() == 1


def test_an_hour_and_a_day_of_one_site_cannot_be_oversold_together(market: Market) -> None:
    """Sold to the last lot in every length that runs at once, the site delivers every minute what it owes in it."""
    noon = START.replace(hour=12) + timedelta(days=1)
    day = noon.replace(hour=0)
    lengths = {15 * MINUTE: 100_000, HOUR: 350_000, 4 * HOUR: 150_000, DAY: 300_000, MONTH: 100_000}
    parts = tuple(Allocation(market.product.id, length, ppm) for length, ppm in lengths.items())
    basis = {"tokens_per_s": 10_000}
    declare_capacity(DeclareCapacity(market.provider.id, market.site_id, basis, parts), actor=ACTOR, now=NOW)
    for length, start in ((15 * MINUTE, noon), (HOUR, noon), (4 * HOUR, noon), (DAY, day)):
        market.list_window(start, length, **CHEAP)
    january = window_at(START + timedelta(days=31), MONTH)
    market.list_window(january.start, MONTH, **CHEAP)
    market.sweep()
    sold: list[tuple[Window, int]] = []
    for contract in Contract.objects.exclude(id=market.contract.id):
        window = Window(contract.delivery_start, contract.delivery_end)
        lots = 10_000 * lengths[window.length] * window.seconds // 1_000_000 // LOT
        refused, taken = (sell(market, window, each) for each in (lots + 1, lots))
        assert (refused["code"], taken["order_status"]) == ("capacity_exceeded", "open")
        sold.append((window, lots * LOT))
    for minute in range(0, 24 * 60, 5):
        at = day + timedelta(minutes=minute)
        owed = sum(tokens * 60 // window.seconds for window, tokens in sold if window.contains(at))
        assert owed <= 10_000 * 60
    with pytest.raises(CapacityExceeded) as refusal:  # what a day has is not there for hours any more
        market.declare(10_000, ppm=1_000_000, seconds=HOUR)
    assert len(refusal.value.fields["contracts"]) == 4


def sell(market: Market, window: Window, lots: int) -> dict[str, Any]:
    posted = offer(
        market,
        windows=1,
        window_seconds=window.length,
        first_delivery=window.start,
        last_delivery=window.start,
        lots=lots,
        price_ticks=1,
    )
    (result,) = market.results([posted.orders[0].seq])
    return result
