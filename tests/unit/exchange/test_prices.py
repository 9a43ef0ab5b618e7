"""Prices and quantities from outside."""

from __future__ import annotations

import pytest

from exchange.clearing.prices import format_price, parse_lots, parse_price
from exchange.clearing.terms import MAX_ORDER_LOTS
from exchange.errors import InvalidQuantity, PriceOffTick, PriceOutOfBand
from ledger.errors import DomainError, InvalidAmount
from tests.unit.exchange.terms import TERMS


def test_a_price_is_whole_ticks_inside_the_band() -> None:
    assert parse_price(TERMS, "4.21") == 421
    assert parse_price(TERMS, "0.010000") == 1
    assert parse_price(TERMS, "10") == 1_000
    assert format_price(TERMS.tick_micros, 421) == "4.210000"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("4.215", PriceOffTick),
        ("0.000001", PriceOffTick),
        ("0", PriceOutOfBand),
        ("-4.21", PriceOutOfBand),
        ("10.01", PriceOutOfBand),
        ("9999999999999", PriceOutOfBand),
        ("4.2100001", InvalidAmount),
        ("1e3", InvalidAmount),
        ("NaN", InvalidAmount),
        ("", InvalidAmount),
        (4.21, InvalidAmount),
        (4, InvalidAmount),
        (None, InvalidAmount),
    ],
)
def test_any_other_price_is_refused(text: object, error: type[DomainError]) -> None:
    with pytest.raises(error) as caught:
        parse_price(TERMS, text)
    assert caught.value.fields["field"] == "price"


def test_refusals_give_the_figures_of_the_rule() -> None:
    with pytest.raises(PriceOffTick) as off_tick:
        parse_price(TERMS, "4.215")
    assert off_tick.value.fields == {"field": "price", "price": "4.215000", "tick": "0.010000"}
    with pytest.raises(PriceOutOfBand) as out_of_band:
        parse_price(TERMS, "10.01")
    assert (out_of_band.value.fields["band_low"], out_of_band.value.fields["band_high"]) == ("0.010000", "10.000000")


def test_lots_are_whole_and_within_limits() -> None:
    assert parse_lots("12") == parse_lots(12) == 12
    assert parse_lots(str(MAX_ORDER_LOTS)) == MAX_ORDER_LOTS


@pytest.mark.parametrize(
    "value", [0, "0", -1, "-5", MAX_ORDER_LOTS + 1, 2**53, str(2**53 + 1), 2**70, 1.0, "1.5", "", "٣", True, None]
)
def test_any_other_quantity_is_refused(value: object) -> None:
    with pytest.raises(InvalidQuantity) as caught:
        parse_lots(value)
    assert caught.value.fields["field"] == "lots"
