"""Costs and holds by hand-computed figures."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from exchange.clearing import amounts
from exchange.errors import InvalidTerms
from exchange.matching.types import BrokenInvariant, PriceTicks, Side
from ledger.drafts import HoldChange
from tests.unit.exchange.terms import TERMS, order, terms


def test_notional_and_fee_are_exact_and_rounded_down() -> None:
    """100,000 tokens at 4.20 per million; 20,000 at 4.21 and 30,000 at 4.27 in one order."""
    assert amounts.notional(TERMS, PriceTicks(420), 1) == 420_000
    assert amounts.fee(420_000, 2_000) == 840
    small = terms(lot_tokens=10_000)
    first, second = amounts.notional(small, PriceTicks(421), 2), amounts.notional(small, PriceTicks(427), 3)
    assert (first, second) == (84_200, 128_100)
    assert amounts.fee(first, 2_000) + amounts.fee(second, 2_000) == 424


def test_a_buy_order_holds_notional_and_fee_rounded_up() -> None:
    odd = terms(buyer_fee_ppm=3)
    buy = order(1, 5, Side.BUY, 421, 2, maker_fee_ppm=0, taker_fee_ppm=3)
    assert amounts.required_holds(odd, buy) == (HoldChange(odd.cash(5), 842_000 + 3),)


def test_overage_is_held_at_the_bands_upper_price_with_fee_by_the_lot() -> None:
    """A lot at 10.00 is 1,000,000 micros; 7.5 % of it 75,000; its fee 150."""
    assert amounts.overage_hold(TERMS, 3, 75) == 3 * (75_000 + 150)
    assert amounts.overage_tokens(TERMS, 3, 75) == 22_500
    odd = terms(band_high_ticks=333, buyer_fee_ppm=1)
    assert amounts.overage_hold(odd, 3, 1) == 3 * (333 + 1)
    plain, wide = order(1, 5, Side.BUY, 420, 3), order(1, 5, Side.BUY, 420, 3, overage_permille=75)
    extra = amounts.required_holds(TERMS, wide)[0].delta - amounts.required_holds(TERMS, plain)[0].delta
    assert extra == amounts.overage_hold(TERMS, 3, 75)


def test_a_sell_order_holds_bond_and_tokens_whatever_its_price() -> None:
    expected = (HoldChange(TERMS.cash(6), 1_500_000), HoldChange(TERMS.obligation(6), 300_000))
    assert amounts.required_holds(TERMS, order(1, 6, Side.SELL, 1, 3)) == expected
    assert amounts.required_holds(TERMS, order(1, 6, Side.SELL, 900, 3)) == expected
    assert len(amounts.required_holds(terms(bond_per_lot_micros=0), order(1, 6, Side.SELL, 1, 3))) == 1


def test_the_bond_of_a_lot_is_its_highest_value_times_the_cap_rounded_up() -> None:
    def bond(tick_micros: int, cap: int) -> int:
        return amounts.bond_per_lot(
            lot_tokens=100_000, tick_micros=tick_micros, band_high_ticks=333, damages_cap_permille=cap
        )

    assert bond(10_000, 500) == 166_500
    assert bond(10, 500) == 167
    assert bond(10, 0) == 0
    for cap in (-1, 2_001):
        with pytest.raises(InvalidTerms):
            bond(10, cap)


@pytest.mark.parametrize("role", ["maker_fee_ppm", "taker_fee_ppm"])
@pytest.mark.parametrize("side", Side)
def test_an_order_that_carries_more_than_the_contracts_fee_is_not_admitted(side: Side, role: str) -> None:
    """Its hold would not cover it."""
    for wrong in (-1, (TERMS.buyer_fee_ppm if side is Side.BUY else TERMS.provider_fee_ppm) + 1):
        with pytest.raises(BrokenInvariant):
            amounts.required_holds(TERMS, replace(order(1, 5, side, 421, 2), **{role: wrong}))
