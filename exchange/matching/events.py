"""What happened in the book, in order. The same list drives rows, ledger entries, market data and tests.

Events carry the orders that they are about, as those stood then, so that nobody has to look them up: the order of the
last event about it is how it stands.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from exchange.matching.types import Lots, Order, OrderId, PriceTicks, SelfTrade


class CloseReason(StrEnum):
    FILLED = "filled"
    CANCELLED = "cancelled"
    IOC_REMAINDER = "ioc_remainder"
    FOK_NOT_FILLED = "fok_not_filled"  # it could not trade whole, and did not trade at all
    BUDGET_SPENT = "budget_spent"  # what is left of its budget buys no further lot
    SELF_TRADE = "self_trade"  # it would have met an order of its own group
    PRICE_COLLAR = "price_collar"  # it would have traded outside the collar: trading is halted
    EXPIRED = "expired"  # its own expiry
    GATE_CLOSED = "gate_closed"
    SWITCHED_OFF = "switched_off"  # its owner's dead-man switch
    ACCOUNT_CLOSED = "account_closed"  # its owner's account of the contract's tokens: it could not take what it bought
    WITHDRAWN = "withdrawn"  # an operator's act: its contract was cancelled or its provider may not sell any more


class RejectReason(StrEnum):
    UNKNOWN_ORDER = "unknown_order"  # not in the book: never was, or already closed
    WOULD_TRADE = "would_trade"  # post-only


class OrderAccepted(Struct, frozen=True, gc=False):
    """The book took the order, with the price it has from now on: a post-only order may have got another.

    From here on it is filled, rests or is closed.
    """

    order: Order
    lots: Lots


class OrderFilled(Struct, frozen=True, gc=False):
    """`lots` changed hands at the maker's price. `…_lots_left` is what each order still wants after this fill."""

    taker: Order
    maker: Order
    price_ticks: PriceTicks
    lots: Lots
    taker_lots_left: Lots
    maker_lots_left: Lots


class MatchPrevented(Struct, frozen=True, gc=False):
    """Two orders of one group would have traded `lots`, and did not. Nothing has changed by this itself.

    The events that follow tell the consequence, `how` why: `OrderClosed` for each order that goes, and by `decrement`
    `OrderAmended` for the larger one, which loses the smaller one's lots. `…_lots_left` is what each wanted then.
    """

    taker: Order
    maker: Order
    how: SelfTrade
    price_ticks: PriceTicks
    lots: Lots
    taker_lots_left: Lots
    maker_lots_left: Lots


class CollarReached(Struct, frozen=True, gc=False):
    """An order would have traded at a price outside the collar, and did not."""

    taker: Order
    price_ticks: PriceTicks


class OrderRested(Struct, frozen=True, gc=False):
    """What is left of a new order waits in the book, behind all others at its price."""

    order: Order
    lots: Lots


class OrderAmended(Struct, frozen=True, gc=False):
    """An order wants something else. `lots_…` is what it still wanted, and still wants.

    An open order that lost its place may trade next; what is left of it then rests behind all others at its price,
    without an `OrderRested`.
    """

    before: Order
    after: Order
    lots_before: Lots
    lots_after: Lots
    kept_place: bool


class OrderClosed(Struct, frozen=True, gc=False):
    """The order is over. `lots_unfilled` is what it still wanted: 0 exactly when the reason is `filled`.

    With `budget_spent` it is what its bound had left.
    """

    order: Order
    reason: CloseReason
    lots_unfilled: Lots


class OrderRejected(Struct, frozen=True, gc=False):
    """The command changed nothing."""

    order_id: OrderId
    reason: RejectReason


Event = (
    OrderAccepted
    | OrderFilled
    | MatchPrevented
    | CollarReached
    | OrderRested
    | OrderAmended
    | OrderClosed
    | OrderRejected
)
