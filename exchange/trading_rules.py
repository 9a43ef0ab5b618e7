"""The checks an order passes before the book, each raising its own refusal. Pure.

Intake checks what cannot change while a command waits; the sequencer checks again what can (state and gate), at its own
reading of the clock.
"""

from __future__ import annotations

import re
from datetime import datetime

from exchange.clearing.prices import format_price
from exchange.clearing.terms import MAX_ORDER_LOTS, MAX_OVERAGE_PERMILLE, ContractTerms
from exchange.errors import (
    ContractClosed,
    ContractHalted,
    ContractNotOpen,
    InvalidOrder,
    InvalidQuantity,
    PriceOutOfBand,
)

MAX_OPEN_ORDERS = 2_000  # of a party, over all contracts

_CLIENT_ORDER_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)


def check_price(terms: ContractTerms, price_ticks: int) -> None:
    """Raises `PriceOutOfBand`."""
    if not terms.band_low_ticks <= price_ticks <= terms.band_high_ticks:
        price, low, high = (
            format_price(terms.tick_micros, ticks)
            for ticks in (price_ticks, terms.band_low_ticks, terms.band_high_ticks)
        )
        raise PriceOutOfBand(
            f"The price {price} is outside the contract's band from {low} to {high}.",
            field="price",
            price=price,
            band_low=low,
            band_high=high,
        )


def check_lots(lots: int) -> None:
    """Raises `InvalidQuantity`."""
    if not 1 <= lots <= MAX_ORDER_LOTS:
        raise InvalidQuantity(
            f"lots must be a whole number from 1 to {MAX_ORDER_LOTS}.",
            field="lots",
            minimum="1",
            maximum=str(MAX_ORDER_LOTS),
        )


def check_overage(overage_permille: int) -> None:
    """Raises `InvalidOrder`."""
    if not 0 <= overage_permille <= MAX_OVERAGE_PERMILLE:
        raise InvalidOrder(
            f"overage_permille must be from 0 to {MAX_OVERAGE_PERMILLE}.",
            field="overage_permille",
            minimum="0",
            maximum=str(MAX_OVERAGE_PERMILLE),
        )


def check_client_order_id(client_order_id: str) -> None:
    """Raises `InvalidOrder`."""
    if _CLIENT_ORDER_ID.fullmatch(client_order_id) is None:
        raise InvalidOrder(
            "client_order_id has 1 to 64 letters, digits, dots, colons, hyphens or underscores.",
            field="client_order_id",
        )


def check_trading(symbol: str, state: str, gate_open: datetime, gate_close: datetime, now: datetime) -> None:
    """Whether a contract takes orders. Raises `ContractNotOpen`, `ContractHalted` or `ContractClosed`."""
    figures = {"contract": symbol, "state": state, "gate_open": _text(gate_open), "gate_close": _text(gate_close)}
    if state not in ("listed", "trading", "halted") or now >= gate_close:
        raise ContractClosed(f"The gate of {symbol} closed at {_text(gate_close)}.", **figures)
    if state == "listed" or now < gate_open:
        raise ContractNotOpen(f"{symbol} does not trade before {_text(gate_open)}.", **figures)
    if state == "halted":
        raise ContractHalted(f"Trading in {symbol} is suspended.", **figures)


def _text(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
