"""The checks an order passes before the book, each raising its own refusal. Pure.

Intake checks what cannot change while a command waits; the sequencer checks again what can (state and gate), at its own
reading of the clock.
"""

from __future__ import annotations

import re
from datetime import datetime

from exchange.clearing.prices import format_price
from exchange.clearing.terms import MAX_LOT_MICROS, MAX_ORDER_LOTS, MAX_OVERAGE_PERMILLE, ContractTerms
from exchange.errors import (
    BudgetTooSmall,
    ContractClosed,
    ContractHalted,
    ContractNotOpen,
    ExpiryOutOfRange,
    InvalidOrder,
    InvalidQuantity,
    PriceOutOfBand,
)
from exchange.matching.types import OrderType, PostOnly, TimeInForce
from ledger.errors import InvalidAmount
from ledger.money import format_micros

MAX_OPEN_ORDERS = 2_000  # of a party, in the contracts of one shard: each counts for itself
MAX_BUDGET_MICROS = MAX_ORDER_LOTS * MAX_LOT_MICROS
MAX_SWITCH_SECONDS = 86_400
RESTING = (TimeInForce.GTC, TimeInForce.GTD)

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


def check_kind(order_type: OrderType, time_in_force: TimeInForce, post_only: PostOnly, *, by_budget: bool) -> None:
    """Whether an order's type, time in force and post-only go together. Raises `InvalidOrder` with the field."""
    if order_type is OrderType.MARKET and time_in_force in RESTING:
        raise InvalidOrder("A market order never rests; its time_in_force is ioc or fok.", field="time_in_force")
    if by_budget and time_in_force is not TimeInForce.IOC:
        raise InvalidOrder("A budget buys what it can at once; its time_in_force is ioc.", field="time_in_force")
    if post_only is not PostOnly.NO and time_in_force not in RESTING:
        raise InvalidOrder(
            f"An order that must trade at once ({time_in_force.value}) cannot be post-only; leave out post_only, or "
            "send time_in_force gtc or gtd.",
            field="post_only",
        )


def check_size(order_type: OrderType, price_ticks: int | None, lots: int | None, budget_micros: int | None) -> None:
    """Whether price and quantity are those of the type. Raises `InvalidOrder`, `InvalidQuantity`, `InvalidAmount`."""
    if order_type is OrderType.LIMIT and price_ticks is None:
        raise InvalidOrder("A limit order needs a price; only a market order may leave it out.", field="price")
    if order_type is OrderType.LIMIT and budget_micros is not None:
        raise InvalidOrder("Only a market order has a budget; send lots.", field="budget")
    if lots is None and budget_micros is None:
        raise InvalidOrder("Say how many lots, or for a market order what budget.", field="lots")
    if lots is not None and budget_micros is not None:
        raise InvalidOrder("Send lots or a budget, not both.", field="budget")
    if lots is not None:
        check_lots(lots)
    if budget_micros is not None and not 1 <= budget_micros <= MAX_BUDGET_MICROS:
        low, high = format_micros(1), format_micros(MAX_BUDGET_MICROS)
        raise InvalidAmount(f"budget must be from {low} to {high}.", field="budget", minimum=low, maximum=high)


def check_budget(terms: ContractTerms, budget_micros: int, lots: int) -> None:
    """Whether a budget could buy anything: `lots` at the band's lower price. Raises `BudgetTooSmall`."""
    if lots < 1:
        budget, low = format_micros(budget_micros), format_price(terms.tick_micros, terms.band_low_ticks)
        raise BudgetTooSmall(
            f"The budget {budget} does not buy a lot of {terms.lot_tokens} contract tokens even at the lowest price "
            f"{low}; raise it.",
            field="budget",
            budget=budget,
            band_low=low,
            lot_tokens=str(terms.lot_tokens),
        )


def check_has_expiry(time_in_force: TimeInForce, expires_at: datetime | None) -> None:
    """Raises `InvalidOrder` unless exactly a gtd order says when it expires."""
    if time_in_force is TimeInForce.GTD and expires_at is None:
        raise InvalidOrder("A gtd order needs expires_at.", field="expires_at")
    if time_in_force is not TimeInForce.GTD and expires_at is not None:
        raise InvalidOrder(
            "Only a gtd order expires; leave out expires_at or send time_in_force gtd.", field="expires_at"
        )


def check_expiry(expires_at: datetime, gate_close: datetime, now: datetime) -> None:
    """Raises `ExpiryOutOfRange`."""
    if not now < expires_at <= gate_close:
        raise ExpiryOutOfRange(
            f"expires_at must be after now, {_text(now)}, and not after the gate closes at {_text(gate_close)}.",
            field="expires_at",
            expires_at=_text(expires_at),
            now=_text(now),
            gate_close=_text(gate_close),
        )


def check_switch_seconds(seconds: int) -> None:
    """Raises `InvalidOrder`."""
    if not 0 <= seconds <= MAX_SWITCH_SECONDS:
        raise InvalidOrder(
            f"seconds must be from 1 to {MAX_SWITCH_SECONDS}, or 0 to stop the switch.",
            field="seconds",
            minimum="0",
            maximum=str(MAX_SWITCH_SECONDS),
        )


def check_trading(symbol: str, state: str, gate_open: datetime, gate_close: datetime, now: datetime) -> None:
    """Whether a contract takes orders. Raises `ContractNotOpen`, `ContractHalted` or `ContractClosed`."""
    if state == "trading" and gate_open <= now < gate_close:
        return
    figures = {"contract": symbol, "state": state, "gate_open": _text(gate_open), "gate_close": _text(gate_close)}
    if state not in ("listed", "trading", "halted") or now >= gate_close:
        raise ContractClosed(f"The gate of {symbol} closed at {_text(gate_close)}.", **figures)
    if state == "listed" or now < gate_open:
        raise ContractNotOpen(f"{symbol} does not trade before {_text(gate_open)}.", **figures)
    if state == "halted":
        raise ContractHalted(f"Trading in {symbol} is suspended.", **figures)


def _text(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
