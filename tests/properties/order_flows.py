"""Random lines of commands for one book: few prices and parties, so that everything meets everything."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import strategies as st

from exchange.clearing.terms import MAX_OVERAGE_PERMILLE
from exchange.matching.types import (
    AmendOrder,
    CancelOrder,
    Command,
    ContractId,
    GroupId,
    Lots,
    Order,
    OrderId,
    OrderType,
    PartyId,
    PostOnly,
    PriceRange,
    PriceTicks,
    SelfTrade,
    Side,
    TickLots,
    TimeInForce,
)

CONTRACT = ContractId(7)
PRICES = PriceRange(1, 6)
BUYERS, SELLERS = (2, 3, 4, 7), (5, 6, 7)
GROUPS: Mapping[int, int] = {4: 3, 6: 4}  # the others are groups of their own

prices = st.integers(PRICES.low_ticks, PRICES.high_ticks).map(PriceTicks)
lots = st.integers(1, 9).map(Lots)
collars = st.one_of(st.none(), st.none(), st.builds(PriceRange, st.integers(1, 3), st.integers(3, 6)))
_KINDS = (
    [(OrderType.LIMIT, TimeInForce.GTC)] * 10
    + [(OrderType.LIMIT, tif) for tif in (TimeInForce.GTD, TimeInForce.IOC, TimeInForce.FOK)]
    + [(OrderType.MARKET, tif) for tif in (TimeInForce.IOC, TimeInForce.FOK)]
)


@st.composite
def new_order(draw: st.DrawFn, number: int, fee_ppm: Mapping[Side, int]) -> Order:
    """An order that could have passed validation; its rates are at most those of `fee_ppm`."""
    side = draw(st.sampled_from(Side))
    party = draw(st.sampled_from(BUYERS if side is Side.BUY else SELLERS))
    order_type, time_in_force = draw(st.sampled_from(_KINDS))
    rests = time_in_force in (TimeInForce.GTC, TimeInForce.GTD)
    by_budget = order_type is OrderType.MARKET and time_in_force is TimeInForce.IOC and side is Side.BUY
    budget = draw(st.none() | st.integers(1, 60)) if by_budget else None
    return Order(
        OrderId(number),
        CONTRACT,
        PartyId(party),
        side,
        draw(prices),
        Lots(budget) if budget else draw(lots),
        GroupId(GROUPS.get(party, party)),
        order_type=order_type,
        time_in_force=time_in_force,
        post_only=draw(st.sampled_from([PostOnly.NO, *PostOnly])) if rests else PostOnly.NO,
        self_trade=draw(st.sampled_from(SelfTrade)),
        budget=None if budget is None else TickLots(budget),
        overage_permille=draw(st.sampled_from([0, 0, 1, 333, MAX_OVERAGE_PERMILLE])) if side is Side.BUY else 0,
        maker_fee_ppm=draw(st.integers(0, fee_ppm[side])),
        taker_fee_ppm=draw(st.integers(0, fee_ppm[side])),
    )


@st.composite
def flows(draw: st.DrawFn, fee_ppm: Mapping[Side, int] | None = None, most: int = 40) -> list[Command]:
    """Orders with ids in order of arrival, and cancels and amendments of any of them."""
    rates = fee_ppm or dict.fromkeys(Side, 0)
    commands: list[Command] = []
    for number in range(1, draw(st.integers(1, most)) + 1):
        known = OrderId(draw(st.integers(1, number)))
        match draw(st.integers(0, 9)):
            case 0 | 1:
                commands.append(CancelOrder(known, CONTRACT))
            case 2 | 3:
                commands.append(AmendOrder(known, CONTRACT, draw(prices), Lots(draw(st.integers(0, 12)))))
            case _:
                commands.append(draw(new_order(number, rates)))
    return commands
