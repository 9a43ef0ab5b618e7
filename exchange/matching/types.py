"""What the book is made of: identities, prices in ticks, quantities in lots, and the commands it takes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

OrderId = NewType("OrderId", int)
ContractId = NewType("ContractId", int)
PartyId = NewType("PartyId", int)
PriceTicks = NewType("PriceTicks", int)
Lots = NewType("Lots", int)


class BrokenInvariant(Exception):
    """The core was called wrongly or its state contradicts itself. Never caused by a user; nothing can go on."""


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class TimeInForce(StrEnum):
    GTC = "gtc"  # rests until filled, cancelled or the gate closes
    IOC = "ioc"  # what does not trade at once is cancelled


@dataclass(frozen=True, slots=True)
class LimitOrder:
    """Buy or sell up to `lots` of a contract at `price_ticks` or better.

    `overage_permille` is what a buyer may use above its position; it rides along for clearing, the book ignores it.
    """

    order_id: OrderId
    contract_id: ContractId
    party_id: PartyId
    side: Side
    price_ticks: PriceTicks
    lots: Lots
    time_in_force: TimeInForce = TimeInForce.GTC
    overage_permille: int = 0


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Take what is left of an order out of the book."""

    order_id: OrderId
    contract_id: ContractId


Command = LimitOrder | CancelOrder
