"""Whatever a schedule says and a party has traded: no fill takes more than its order held."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exchange.clearing.amounts import budget_hold, fee, notional, purchase_hold
from exchange.clearing.terms import MAX_FEE_PPM, PPM
from exchange.fee_schedule import Basis, FeeSchedule, Rates, Tier, rates
from exchange.matching.types import PriceTicks, Side, TickLots
from exchange.order_stamps import budget_ticks
from tests.unit.exchange.terms import terms


@st.composite
def schedules(draw: st.DrawFn) -> FeeSchedule:
    basis = draw(st.sampled_from(Basis))
    rate = st.integers(0, PPM if basis is Basis.CONTRACT else MAX_FEE_PPM)
    pair = st.builds(Rates, rate, rate)
    starts = [0, *sorted(draw(st.sets(st.integers(1, 10**12), max_size=5)))]
    return FeeSchedule(basis, tuple(Tier(start, draw(pair), draw(pair)) for start in starts))


contract_rates = st.integers(0, MAX_FEE_PPM)
volumes = st.integers(0, 10**13)


@given(schedules(), st.sampled_from(Side), volumes, contract_rates)
def test_rates_are_those_of_the_highest_tier_reached_within_the_contracts(
    schedule: FeeSchedule, side: Side, volume: int, contract_ppm: int
) -> None:
    found = rates(schedule, side, volume, contract_ppm)
    reached = max(
        (tier for tier in schedule.tiers if tier.volume_micros <= volume), key=lambda tier: tier.volume_micros
    )
    said = reached.buyer if side is Side.BUY else reached.provider
    for rate, ppm in ((found.maker_ppm, said.maker_ppm), (found.taker_ppm, said.taker_ppm)):
        assert 0 <= rate <= contract_ppm
        assert rate == (ppm * contract_ppm // PPM if schedule.basis is Basis.CONTRACT else min(ppm, contract_ppm))


@given(
    schedules(),
    volumes,
    contract_rates,
    st.integers(1, 500),
    st.lists(st.tuples(st.integers(0, 499), st.integers(1, 50), st.booleans()), min_size=1, max_size=8),
    st.integers(0, 20),
)
def test_fills_of_an_order_cost_no_more_than_it_let_go(
    schedule: FeeSchedule,
    volume: int,
    contract_ppm: int,
    limit: int,
    fills: list[tuple[int, int, bool]],
    resting: int,
) -> None:
    """In any number of fills, at any price up to the limit, taking first and then making: after each, what is still
    held and what was paid are within the first hold."""
    contract = terms(buyer_fee_ppm=contract_ppm)
    own = rates(schedule, Side.BUY, volume, contract_ppm)
    left = sum(lots for _, lots, _ in fills) + resting
    first = purchase_hold(contract, PriceTicks(limit), left)
    paid = 0
    for below, lots, takes in fills:
        value = notional(contract, PriceTicks(max(1, limit - below)), lots)
        paid += value + fee(value, own.taker_ppm if takes else own.maker_ppm)
        left -= lots
        assert paid + purchase_hold(contract, PriceTicks(limit), left) <= first


@given(schedules(), volumes, contract_rates, st.integers(0, 10**12), st.lists(st.integers(1, 10**6), max_size=8))
def test_a_budget_pays_for_all_it_buys_and_its_fee(
    schedule: FeeSchedule, volume: int, contract_ppm: int, budget_micros: int, parts: list[int]
) -> None:
    contract = terms(buyer_fee_ppm=contract_ppm)
    taker_ppm = rates(schedule, Side.BUY, volume, contract_ppm).taker_ppm
    budget = budget_ticks(contract, budget_micros, taker_ppm)
    assert budget_hold(contract, budget, taker_ppm) <= budget_micros
    spent, left = 0, budget
    for part in parts:
        bought = min(part, left)
        value = bought * contract.lot_tick_micros
        spent, left = spent + value + fee(value, taker_ppm), TickLots(left - bought)
    assert spent <= budget_micros
