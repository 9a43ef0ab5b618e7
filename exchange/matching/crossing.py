"""An order meets the other side of the book: price-time priority, self-trade prevention, collar, fill-or-kill."""

from __future__ import annotations

from itertools import accumulate

from msgspec.structs import replace

from exchange.matching.book import Book, RestingOrder
from exchange.matching.events import (
    CloseReason,
    CollarReached,
    Event,
    MatchPrevented,
    OrderAmended,
    OrderClosed,
    OrderFilled,
)
from exchange.matching.types import Collar, Lots, Order, PriceTicks, SelfTrade, TickLots

_FILLED = CloseReason.FILLED
_NONE = Lots(0)


def trade(
    book: Book, order: Order, left: Lots, collar: Collar | None, events: list[Event]
) -> tuple[Order, Lots, CloseReason | None]:
    """Trade `left` lots best price first and oldest first, at the resting orders' prices, for as long as it crosses.

    The order as it then stands, the lots it has left, and why it is over; None: nobody offers more.
    """
    makers, budget, group_id = book.against(order.side), order.budget, order.group_id
    keys, levels, worst = makers.keys, makers.levels, order.price_ticks * makers.sign
    while left:
        if not keys or keys[-1] < worst:
            return order, left, None
        maker = levels[keys[-1]].first()
        older, offered = maker.order, maker.lots
        price = older.price_ticks
        lots = offered if offered < left else left
        if budget is not None:
            lots = Lots(min(lots, budget // price))
            if not lots:  # what it has bought are the lots that it does not want any more
                return order, left, CloseReason.BUDGET_SPENT if left < order.lots else None
        if older.group_id == group_id:
            order, left, budget, reason = _prevent(book, order, left, budget, maker, lots, events)
            if reason is not None:
                return order, left, reason
            continue
        if collar is not None and price not in collar:
            events.append(CollarReached(order, price))
            return order, left, CloseReason.PRICE_COLLAR
        if budget is not None:
            budget = TickLots(budget - price * lots)
        left = Lots(left - lots)
        if lots == offered:
            book.remove(older.order_id)
            events.append(OrderFilled(order, older, price, lots, left, _NONE))
            events.append(OrderClosed(older, _FILLED, _NONE))
        else:
            still_offered = Lots(offered - lots)
            book.amend_in_place(maker, older, still_offered)
            events.append(OrderFilled(order, older, price, lots, left, still_offered))
    return order, left, _FILLED


def can_trade_whole(book: Book, order: Order, collar: Collar | None) -> bool:
    """Whether a fill-or-kill order, placed now, would trade all of its lots.

    Orders of its own group on its way end it, unless they are the ones to give way: then they only do not count.
    """
    makers, wanted = book.against(order.side), int(order.lots)
    totals = accumulate(level.lots for level in makers.crossing_levels(order.price_ticks))
    if not any(total >= wanted for total in totals):  # whoever offers them: spares the walk through all orders
        return False
    for level in makers.crossing_levels(order.price_ticks):
        for maker in level:
            if maker.order.group_id == order.group_id:
                if order.self_trade is not SelfTrade.CANCEL_OLDEST:
                    return False
                continue
            if collar is not None and level.price_ticks not in collar:
                return False
            wanted -= maker.lots
            if wanted <= 0:
                return True
    return False


def _prevent(
    book: Book, order: Order, left: Lots, budget: TickLots | None, maker: RestingOrder, lots: Lots, events: list[Event]
) -> tuple[Order, Lots, TickLots | None, CloseReason | None]:
    """`lots` would trade within one group: do what the newer order wants instead.

    The newer order as it then stands, its lots and budget left, and why it is over; None: it goes on.
    """
    older, how = maker.order, order.self_trade
    events.append(MatchPrevented(order, older, how, older.price_ticks, lots, left, maker.lots))
    if how is SelfTrade.CANCEL_NEWEST:
        return order, left, budget, CloseReason.SELF_TRADE
    if how is SelfTrade.DECREMENT and lots < maker.lots:
        _lower_maker(book, maker, lots, events)
        return order, left, budget, CloseReason.SELF_TRADE
    book.remove(older.order_id)
    events.append(OrderClosed(older, CloseReason.SELF_TRADE, maker.lots))
    match how:
        case SelfTrade.CANCEL_OLDEST:
            return order, left, budget, None
        case SelfTrade.CANCEL_BOTH:
            return order, left, budget, CloseReason.SELF_TRADE
        case SelfTrade.DECREMENT:
            return _lower_taker(order, left, budget, older.price_ticks, lots, events)


def _lower_maker(book: Book, maker: RestingOrder, lots: Lots, events: list[Event]) -> None:
    """It is the larger one: it loses the smaller one's lots, and keeps its place."""
    before, lots_before = maker.order, maker.lots
    after, left = replace(before, lots=Lots(before.lots - lots)), Lots(lots_before - lots)
    book.amend_in_place(maker, after, left)
    events.append(OrderAmended(before, after, lots_before, left, kept_place=True))


def _lower_taker(
    order: Order, left: Lots, budget: TickLots | None, price_ticks: PriceTicks, lots: Lots, events: list[Event]
) -> tuple[Order, Lots, TickLots | None, CloseReason | None]:
    """It loses the smaller one's lots, or of its budget what those would have cost; with nothing left it is over."""
    if budget is not None:
        budget = TickLots(budget - price_ticks * lots)
        return order, left, budget, CloseReason.SELF_TRADE if budget < price_ticks else None
    if lots == left:
        return order, left, None, CloseReason.SELF_TRADE
    lowered = replace(order, lots=Lots(order.lots - lots))
    events.append(OrderAmended(order, lowered, left, Lots(left - lots), kept_place=True))
    return lowered, Lots(left - lots), None, None
