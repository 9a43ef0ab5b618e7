"""Prices and sizes of the catalogue's market, and what its bots feel like."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.catalogue import BUYERS, MODELS, PROVIDERS, SHARES_PPM
from config.demo.forecast import Want
from config.demo.haggling import plan_haggling
from config.first_market import listing_rule, market_plan
from config.live_market.habits import (
    DEEDS_PERMILLE,
    Deed,
    choose_amendment,
    choose_change,
    choose_deed,
    choose_order,
    offer_price,
    usage_of_step,
)
from config.market_setup import contract_of, product_terms, site_capacity
from exchange.capacity import Allocation, validate_allocations, window_capacity
from exchange.windows import parse_symbol


def test_contract_tokens_cost_what_the_price_list_says() -> None:
    """A request's price by weights and by the list agree to the rounding of the weights."""
    for model in MODELS.values():
        micros_by_list = 1_000 * model.input_price + 400 * model.cached_price + 300 * model.output_price
        millitokens = model.weigh(input_tokens=1_400, cached_tokens=400, output_tokens=300)
        assert millitokens * model.input_price / 1_000 == pytest.approx(micros_by_list, rel=0.001)


def test_every_product_has_sellers_and_buyers_and_sums_add_up() -> None:
    for code in MODELS:
        assert sum(code in provider.weights for provider in PROVIDERS) >= 2
        assert any(buyer.product == code for buyer in BUYERS)
    assert sum(SHARES_PPM.values()) == 1_000_000
    assert len(PROVIDERS) == 4
    assert len(BUYERS) == 12


def test_terms_and_contracts_of_the_catalogue_are_valid() -> None:
    _, window = parse_symbol("KIMI-K2-6.EU-NORTH.STD@20261201T1010/10MIN")
    for model in MODELS.values():
        terms = product_terms(model, market_plan())
        assert terms.weights["input_uncached"] == 1_000
        contract = contract_of(model, window, window.start, window.start)
        assert contract.band_low_ticks < contract.listing_price_ticks < contract.band_high_ticks


@given(
    tokens=st.lists(st.integers(1, 10**9), min_size=1, max_size=6),
    window_seconds=st.sampled_from([60, 600, 3_600, 86_400]),
)
def test_a_site_delivers_what_it_is_sized_for(tokens: list[int], window_seconds: int) -> None:
    needed = {str(place): count for place, count in enumerate(tokens)}
    tokens_per_s, parts = site_capacity(needed, window_seconds)
    validate_allocations([Allocation(int(place), window_seconds, ppm) for place, ppm in parts.items()])
    for product, count in needed.items():
        assert window_capacity(tokens_per_s, parts[product], window_seconds) >= count


def test_haggling_spreads_the_lots_and_stays_in_the_band() -> None:
    (model, *_) = MODELS.values()
    _, window = parse_symbol(f"{model.code}@20261201T1010/10MIN")
    for lots in range(1, 30):
        plan = plan_haggling(Want(window, "acorn", model.code, lots), model, seed=lots)
        bids = [bid for bid in (plan.patient, plan.fair) if bid]
        assert sum(bid.lots for bid in bids) <= lots
        assert all(bid.lots > 0 for bid in bids)
        contract = contract_of(model, window, window.start, window.start)
        prices = [bid.price_ticks for bid in bids] + [plan.last_price_ticks]
        assert all(contract.band_low_ticks <= price <= contract.band_high_ticks for price in prices)


def test_bots_stay_in_the_price_band_and_within_the_collar() -> None:
    random = Random(1)
    _, window = parse_symbol("A@20261201T10/1H")
    for model in MODELS.values():
        contract = contract_of(model, window, window.start, window.start)
        band = range(contract.band_low_ticks, contract.band_high_ticks + 1)
        wishes = [choose_order(deed, model, random) for deed in Deed for _ in range(100)]
        amended = [choose_amendment(model, 3, 0, random) for _ in range(100)]
        bids = [wish.price_ticks for wish in wishes]
        bids += [change["price_ticks"] for change in amended if "price_ticks" in change]
        asks = [offer_price(model, each.price_permille, random) for each in PROVIDERS for _ in range(50)]
        assert all(price in band for price in (*bids, *asks))
        # They trade somewhere between their lowest ask or bid that is met, and their highest.
        collar = listing_rule(model).collar_permille
        assert (max(asks) - min(asks)) * 1_000 < min(asks) * collar


def test_buyers_do_every_deed_and_amend_to_less_but_not_to_nothing() -> None:
    assert sum(DEEDS_PERMILLE.values()) == 1_000
    assert {choose_deed(Random(seed)) for seed in range(300)} == set(Deed)
    (model, *_) = MODELS.values()
    smaller = [choose_amendment(model, 3, 1, Random(seed)) for seed in range(50)]
    assert {change["lots"] for change in smaller if "lots" in change} == {2}
    assert all("lots" not in choose_amendment(model, 3, 2, Random(seed)) for seed in range(50))


def test_under_the_same_chance_bots_wish_for_the_same() -> None:
    def wishes(seed: int) -> list[object]:
        random, (model, *_) = Random(seed), MODELS.values()
        return [choose_order(choose_deed(random), model, random) for _ in range(50)] + [
            choose_change(paused, random) for paused in (False, True) for _ in range(50)
        ]

    assert wishes(7) == wishes(7)
    assert wishes(7) != wishes(8)


def test_a_position_is_used_bit_by_bit() -> None:
    random = Random(2)
    for model in MODELS.values():
        used = [usage_of_step(model, 300_000, 1 / 120, random) for _ in range(120)]
        weighed = sum(model.weigh(u.input_tokens, u.cached_tokens, u.output_tokens) for u in used if u) // 1_000
        assert 0.6 * 300_000 < weighed < 1.1 * 300_000
        assert usage_of_step(model, 100, 0.0001, random) is None
