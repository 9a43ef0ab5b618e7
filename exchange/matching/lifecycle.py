"""The states of an order and the only ways between them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from exchange.matching.events import CloseReason
from exchange.matching.types import BrokenInvariant


class OrderStatus(StrEnum):
    PENDING = "pending"  # taken in, not yet seen by the book
    OPEN = "open"  # rests in the book, perhaps partly filled
    FILLED = "filled"
    CANCELLED = "cancelled"  # by its owner, its time in force, the prevention of self-trades, or an operator
    EXPIRED = "expired"  # by its own expiry, or the gate closed
    REJECTED = "rejected"  # refused before the book

    __hash__ = str.__hash__  # an enum's own is slow, and every order's way is looked up several times


TERMINAL = frozenset({OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED})

ALLOWED_TRANSITIONS: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.PENDING: frozenset(
        {OrderStatus.OPEN, OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED},
    ),
    OrderStatus.OPEN: frozenset({OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED}),
    **dict.fromkeys(TERMINAL, frozenset()),
}

STATUS_AFTER_CLOSE: Mapping[CloseReason, OrderStatus] = {
    CloseReason.FILLED: OrderStatus.FILLED,
    CloseReason.CANCELLED: OrderStatus.CANCELLED,
    CloseReason.IOC_REMAINDER: OrderStatus.CANCELLED,
    CloseReason.FOK_NOT_FILLED: OrderStatus.CANCELLED,
    CloseReason.BUDGET_SPENT: OrderStatus.FILLED,
    CloseReason.SELF_TRADE: OrderStatus.CANCELLED,
    CloseReason.PRICE_COLLAR: OrderStatus.CANCELLED,
    CloseReason.EXPIRED: OrderStatus.EXPIRED,
    CloseReason.GATE_CLOSED: OrderStatus.EXPIRED,
    CloseReason.SWITCHED_OFF: OrderStatus.CANCELLED,
    CloseReason.ACCOUNT_CLOSED: OrderStatus.CANCELLED,
    CloseReason.WITHDRAWN: OrderStatus.CANCELLED,
}


def advance(old: OrderStatus, new: OrderStatus) -> OrderStatus:
    """`new`, if an order may go there from `old`; otherwise `BrokenInvariant`."""
    if new not in ALLOWED_TRANSITIONS[old]:
        raise BrokenInvariant(f"An order cannot go from {old} to {new}.")
    return new
