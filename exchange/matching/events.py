"""What happened in the book, in order. The same list drives rows, ledger entries, market data and tests."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from exchange.matching.types import Lots, OrderId, PriceTicks, Side


class CloseReason(StrEnum):
    FILLED = "filled"
    CANCELLED = "cancelled"
    IOC_REMAINDER = "ioc_remainder"
    SELF_TRADE = "self_trade"  # it would have met an order of the same party: the newer one's remainder goes
    GATE_CLOSED = "gate_closed"


class RejectReason(StrEnum):
    UNKNOWN_ORDER = "unknown_order"  # not in the book: never was, or already closed


@dataclass(frozen=True, slots=True)
class OrderAccepted:
    """The book took the order; from here on it is filled, rests or is closed."""

    order_id: OrderId
    lots: Lots


@dataclass(frozen=True, slots=True)
class OrderFilled:
    """`lots` changed hands at the maker's price. `…_lots_left` is what each order still wants after this fill."""

    taker_id: OrderId
    maker_id: OrderId
    taker_side: Side
    price_ticks: PriceTicks
    lots: Lots
    taker_lots_left: Lots
    maker_lots_left: Lots


@dataclass(frozen=True, slots=True)
class OrderRested:
    """What is left of a new order waits in the book, behind all others at its price."""

    order_id: OrderId
    lots: Lots


@dataclass(frozen=True, slots=True)
class OrderClosed:
    """The order is over. `lots_unfilled` is what it still wanted: 0 exactly when the reason is `filled`."""

    order_id: OrderId
    reason: CloseReason
    lots_unfilled: Lots


@dataclass(frozen=True, slots=True)
class OrderRejected:
    """The command changed nothing."""

    order_id: OrderId
    reason: RejectReason


Event = OrderAccepted | OrderFilled | OrderRested | OrderClosed | OrderRejected
