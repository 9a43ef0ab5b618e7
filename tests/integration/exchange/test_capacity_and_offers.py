"""What providers declare, offer and take back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from exchange.capacity import Allocation
from exchange.commands.declare_capacity import DeclareCapacity, declare_capacity
from exchange.commands.post_offer import PostedOffer, PostOffer, post_offer
from exchange.commands.register_site import RegisterSite, register_site
from exchange.commands.withdraw_offer import WithdrawOffer, withdraw_offer
from exchange.errors import (
    AllocationExceeded,
    CapacityExceeded,
    ContractClosed,
    ContractNotOpen,
    InvalidCapacity,
    InvalidOffer,
    NotQualified,
    OfferNotFound,
    OfferNotOpen,
    PriceOutOfBand,
    SiteNotFound,
    UnknownContract,
    UnknownProduct,
)
from exchange.models import CapacityDeclaration, ContractState, Intake, Offer, Order
from exchange.selectors.capacity import list_sites
from exchange.selectors.exposure import list_exposures
from exchange.selectors.offers import get_offer, list_offers
from ledger.chart import Role
from ledger.errors import DomainError
from ledger.models import AccountChange, ActionLog, PartyKind
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.market import ACTOR, CODE, HOUR, LOT, NOW, START, Market


def offer(market: Market, *, windows: int = 3, now: datetime = NOW, **changes: Any) -> PostedOffer:
    figures: dict[str, Any] = {
        "provider_id": market.provider.id,
        "product_code": CODE,
        "window_seconds": HOUR,
        "first_delivery": START,
        "last_delivery": START + timedelta(hours=windows - 1),
        "lots": 10,
        "price_ticks": 400,
    }
    return post_offer(PostOffer(**(figures | changes)), actor="staff", now=now)


def three_windows(market: Market) -> None:
    for hours in (1, 2):
        market.list_window(START + timedelta(hours=hours))
    market.sweep()


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
    assert refusal.value.fields["capacity_tokens"] == str(2_777 * HOUR)
    assert (refusal.value.fields["sold_tokens"], refusal.value.fields["offered_tokens"]) == ("1000000", "9000000")
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


def test_an_offer_is_one_sell_order_in_each_window(market: Market) -> None:
    three_windows(market)
    posted = offer(market)
    assert {result["order_status"] for result in market.results([order.seq for order in posted.orders])} == {"open"}
    market.buy(market.party("buyer-1"), 4, 400)
    (view,) = list_offers(product_code=CODE)
    assert view == get_offer(posted.offer_id, provider_id=market.provider.id)
    assert (view.provider, view.open_orders, view.sold_lots, view.open_lots) == ("provider-1", 3, 4, 26)
    assert ActionLog.objects.filter(action="post_offer", actor="staff").count() == 1
    check_exchange()


def test_withdrawing_takes_open_and_waiting_orders_back_and_leaves_what_is_sold(market: Market) -> None:
    three_windows(market)
    first = offer(market)
    market.results([first.orders[0].seq])
    market.buy(market.party("buyer-1"), 4, 400)
    waiting = offer(market)
    for posted in (first, waiting):
        withdrawn = withdraw_offer(WithdrawOffer(posted.offer_id, market.provider.id), actor="staff", now=NOW)
        assert len(withdrawn.seqs) == 3
    assert {result["status"] for result in market.results([1 + waiting.orders[-1].seq])} == {"accepted"}
    assert set(Order.objects.filter(party_id=market.provider.id).values_list("status", flat=True)) == {"cancelled"}
    assert market.tokens(market.provider, Role.OBLIGATION).balance == -4 * LOT
    assert market.cash(market.provider).held == 4_000_000
    with pytest.raises(OfferNotOpen):
        withdraw_offer(WithdrawOffer(first.offer_id, market.provider.id), actor="staff", now=NOW)
    check_exchange()


def test_another_providers_offer_is_not_found(market: Market) -> None:
    posted = offer(market, windows=1)
    other = market.seller("provider-2")
    with pytest.raises(OfferNotFound):
        withdraw_offer(WithdrawOffer(posted.offer_id, other.id), actor="staff", now=NOW)
    with pytest.raises(OfferNotFound):
        get_offer(posted.offer_id, provider_id=other.id)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"windows": 2}, UnknownContract),
        ({"windows": 0}, InvalidOffer),
        ({"windows": 1_001}, InvalidOffer),
        ({"windows": 1, "price_ticks": 1_001}, PriceOutOfBand),
        ({"windows": 1, "product_code": "NOBODY"}, UnknownProduct),
        ({"windows": 1, "now": START}, ContractClosed),
        ({"windows": 1, "now": NOW - timedelta(hours=2)}, ContractNotOpen),
    ],
)
def test_an_offer_that_one_window_cannot_take_is_refused_whole(
    market: Market, change: dict[str, Any], error: type[DomainError]
) -> None:
    before = Intake.objects.count()
    with pytest.raises(error):
        offer(market, **change)
    assert (Intake.objects.count(), Offer.objects.count()) == (before, 0)


def test_a_provider_that_is_not_qualified_offers_nothing(market: Market) -> None:
    stranger = market.party("provider-2", PartyKind.PROVIDER)
    with pytest.raises(NotQualified):
        offer(market, windows=1, provider_id=stranger.id)
