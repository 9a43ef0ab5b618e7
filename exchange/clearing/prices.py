"""Prices and quantities as people write them: decimal strings per million contract tokens, and whole lots."""

from __future__ import annotations

from exchange.clearing.terms import MAX_ORDER_LOTS, ContractTerms
from exchange.errors import InvalidQuantity, PriceOffTick, PriceOutOfBand
from exchange.matching.types import Lots, PriceTicks
from ledger.errors import InvalidAmount
from ledger.money import format_micros, parse_count, parse_micros


def format_price(tick_micros: int, price_ticks: int) -> str:
    """7 ticks of 10,000 micros -> "0.070000" per million contract tokens."""
    return format_micros(price_ticks * tick_micros)


def parse_ticks(tick_micros: int, text: object, *, field: str = "price") -> PriceTicks:
    """ "4.21" -> ticks of this size. Raises `InvalidAmount` or `PriceOffTick`."""
    micros = parse_micros(text, field=field)
    price_ticks, rest = divmod(micros, tick_micros)
    if rest:
        raise PriceOffTick(
            f"{field} {format_micros(micros)} is not a multiple of the tick {format_micros(tick_micros)}.",
            field=field,
            price=format_micros(micros),
            tick=format_micros(tick_micros),
        )
    return PriceTicks(price_ticks)


def parse_price(terms: ContractTerms, text: object, *, field: str = "price") -> PriceTicks:
    """ "4.21" -> ticks. Raises `InvalidAmount`, then `PriceOffTick`, then `PriceOutOfBand`."""
    price_ticks = parse_ticks(terms.tick_micros, text, field=field)
    if not terms.band_low_ticks <= price_ticks <= terms.band_high_ticks:
        low = format_price(terms.tick_micros, terms.band_low_ticks)
        high = format_price(terms.tick_micros, terms.band_high_ticks)
        price = format_price(terms.tick_micros, price_ticks)
        raise PriceOutOfBand(
            f"{field} {price} is outside the contract's band from {low} to {high}.",
            field=field,
            price=price,
            band_low=low,
            band_high=high,
        )
    return PriceTicks(price_ticks)


def parse_lots(value: object, *, field: str = "lots") -> Lots:
    """ "12" or 12 -> 12 lots; `InvalidQuantity` unless it is whole and from 1 to `MAX_ORDER_LOTS`."""
    try:
        return Lots(parse_count(value, field=field, minimum=1, maximum=MAX_ORDER_LOTS))
    except InvalidAmount as error:
        raise InvalidQuantity(error.message, **error.fields) from None
