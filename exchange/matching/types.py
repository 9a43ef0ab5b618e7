"""What the book is made of: identities, prices in ticks, quantities in lots, and the commands it takes.

Commands and events are structs of `msgspec`, which takes a third of a dataclass's time to make one, and knows no
cycles among them: the garbage collector need not look.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from msgspec import Struct

OrderId = NewType("OrderId", int)
ContractId = NewType("ContractId", int)
PartyId = NewType("PartyId", int)
GroupId = NewType("GroupId", int)
PriceTicks = NewType("PriceTicks", int)
Lots = NewType("Lots", int)
TickLots = NewType("TickLots", int)  # price times quantity: what money is to the book


class BrokenInvariant(Exception):
    """The core was called wrongly or its state contradicts itself. Never caused by a user; nothing can go on."""


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"

    __hash__ = str.__hash__  # an enum's own is slow, and sides are keys everywhere

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    LIMIT = "limit"
    MARKET = "market"  # ioc or fok: trades at once at whatever price, up to its cap, by quantity or (ioc) by budget


class TimeInForce(StrEnum):
    GTC = "gtc"  # rests until filled, cancelled or the gate closes
    GTD = "gtd"  # like gtc, but at most until its own expiry
    IOC = "ioc"  # what does not trade at once is cancelled
    FOK = "fok"  # trades whole at once, or not at all


_RESTING = (TimeInForce.GTC, TimeInForce.GTD)


class PostOnly(StrEnum):
    NO = "no"
    REJECT = "reject"  # refused when it would trade at once
    REPRICE = "reprice"  # moved to one tick short of the best opposite price when it would


class SelfTrade(StrEnum):
    """What happens when an order would meet one of its own group; the newer order's wish counts."""

    CANCEL_NEWEST = "cancel_newest"
    CANCEL_OLDEST = "cancel_oldest"
    CANCEL_BOTH = "cancel_both"
    DECREMENT = "decrement"  # both lose the smaller quantity without a trade


class Order(Struct, frozen=True, gc=False):
    """Buy or sell up to `lots` of a contract at `price_ticks` or better.

    `lots` is the whole quantity, filled part included: as first placed, as last amended, or as lowered by the
    prevention of a self-trade. `group_id` is whose orders never trade with each other: a party, or parties that belong
    together. `budget` bounds what a market buy spends, by price times lots; its `lots` then only bound it.
    `overage_permille`, `maker_fee_ppm` and `taker_fee_ppm` ride along for clearing; the book ignores them.
    """

    order_id: OrderId
    contract_id: ContractId
    party_id: PartyId
    side: Side
    price_ticks: PriceTicks
    lots: Lots
    group_id: GroupId
    order_type: OrderType = OrderType.LIMIT
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: PostOnly = PostOnly.NO
    self_trade: SelfTrade = SelfTrade.CANCEL_NEWEST
    budget: TickLots | None = None
    overage_permille: int = 0
    maker_fee_ppm: int = 0
    taker_fee_ppm: int = 0

    def __post_init__(self) -> None:
        if self.lots < 1 or self.price_ticks < 1:
            raise BrokenInvariant(f"Order {self.order_id} has {self.lots} lots at {self.price_ticks} ticks.")
        if self.post_only is not PostOnly.NO and not self.may_rest:
            raise BrokenInvariant(f"Order {self.order_id} is post-only and may not rest.")
        if self.order_type is OrderType.MARKET and self.may_rest:
            raise BrokenInvariant(f"Market order {self.order_id} may not rest.")
        if self.budget is not None and not (
            self.budget > 0
            and self.side is Side.BUY
            and self.order_type is OrderType.MARKET
            and self.time_in_force is TimeInForce.IOC
        ):
            raise BrokenInvariant(
                f"Order {self.order_id} has a budget of {self.budget}: only market ioc buys have one."
            )

    @property
    def may_rest(self) -> bool:
        """Whether what does not trade at once stays in the book."""
        return self.time_in_force in _RESTING


class AmendOrder(Struct, frozen=True, gc=False):
    """Change an open order's price or its whole quantity, filled lots included.

    A quantity that is not larger, at the same price, keeps its place in the queue; anything else goes to the end of it,
    and may trade. A quantity that is filled already closes the order.
    """

    order_id: OrderId
    contract_id: ContractId
    price_ticks: PriceTicks
    lots: Lots


class CancelOrder(Struct, frozen=True, gc=False):
    """Take what is left of an order out of the book."""

    order_id: OrderId
    contract_id: ContractId


Command = Order | AmendOrder | CancelOrder


@dataclass(frozen=True, slots=True)
class PriceRange:
    """Prices from `low_ticks` to `high_ticks`, both included."""

    low_ticks: int
    high_ticks: int

    def __contains__(self, price_ticks: int) -> bool:
        return self.low_ticks <= price_ticks <= self.high_ticks


Collar = PriceRange  # outside its contract's collar nothing trades
