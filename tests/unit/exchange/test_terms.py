"""Listing figures: what fits together, and that nothing allowed can leave 64 bits."""

from __future__ import annotations

import pytest

from exchange.clearing import amounts
from exchange.clearing.terms import (
    LOT_SIZES,
    MAX_BATCH_COMMANDS,
    MAX_BOND_PER_LOT_MICROS,
    MAX_DAMAGES_CAP_PERMILLE,
    MAX_FEE_PPM,
    MAX_LOT_MICROS,
    MAX_ORDER_LOTS,
    MAX_OVERAGE_PERMILLE,
    lot_tick_micros,
)
from exchange.errors import InvalidTerms
from exchange.matching.types import PriceTicks, Side
from ledger.money import MAX_AMOUNT
from tests.unit.exchange.terms import TERMS, order, terms


def test_one_lot_at_one_tick() -> None:
    assert TERMS.lot_tick_micros == 1_000
    assert lot_tick_micros(10_000, 100) == 1
    assert lot_tick_micros(1_000_000, 1) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lot_tokens", 1_000),
        ("lot_tokens", 200_000),
        ("lot_tokens", 10_000_000),
        ("tick_micros", 0),
        ("tick_micros", -10_000),
        ("tick_micros", 15),  # 1.5 micros a lot
        ("band_low_ticks", 0),
        ("band_low_ticks", 1_001),
        ("band_high_ticks", 0),
        ("band_high_ticks", 1_000_001),  # a lot of more than MAX_LOT_MICROS
        ("bond_per_lot_micros", -1),
        ("bond_per_lot_micros", MAX_BOND_PER_LOT_MICROS + 1),
        ("buyer_fee_ppm", -1),
        ("buyer_fee_ppm", MAX_FEE_PPM + 1),
        ("provider_fee_ppm", MAX_FEE_PPM + 1),
    ],
)
def test_terms_that_do_not_fit_are_refused_by_name(field: str, value: int) -> None:
    with pytest.raises(InvalidTerms) as caught:
        terms(**{field: value})
    assert caught.value.fields["field"] == field


@pytest.mark.parametrize("lot_tokens", LOT_SIZES)
def test_the_largest_batch_stays_within_64_bits(lot_tokens: int) -> None:
    """Largest price, quantity and tick, with the highest fee, overage and bond, for every command of a batch."""
    tick_micros = 1_000_000 // lot_tokens
    largest = terms(
        lot_tokens=lot_tokens,
        tick_micros=tick_micros,
        band_high_ticks=MAX_LOT_MICROS,
        bond_per_lot_micros=MAX_BOND_PER_LOT_MICROS,
        buyer_fee_ppm=MAX_FEE_PPM,
    )
    top, lots = MAX_LOT_MICROS, MAX_ORDER_LOTS
    buy = order(1, 2, Side.BUY, top, lots, overage_permille=MAX_OVERAGE_PERMILLE)
    sell = order(2, 3, Side.SELL, top, lots)
    holds = [*amounts.required_holds(largest, buy), *amounts.required_holds(largest, sell)]
    assert amounts.notional(largest, PriceTicks(top), lots) == MAX_LOT_MICROS * MAX_ORDER_LOTS
    assert max(hold.delta for hold in holds) * MAX_BATCH_COMMANDS <= MAX_AMOUNT
    per_lot = amounts.bond_per_lot(
        lot_tokens=lot_tokens,
        tick_micros=tick_micros,
        band_high_ticks=MAX_LOT_MICROS,
        damages_cap_permille=MAX_DAMAGES_CAP_PERMILLE,
    )
    assert per_lot == MAX_BOND_PER_LOT_MICROS
