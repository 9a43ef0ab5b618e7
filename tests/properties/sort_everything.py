"""A book in the plainest words: one list in order of arrival, searched anew for every match. The engine's oracle."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field

from msgspec.structs import replace

from exchange.matching.book import Depth, DepthLevel
from exchange.matching.events import (
    CloseReason,
    CollarReached,
    Event,
    MatchPrevented,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderFilled,
    OrderRejected,
    OrderRested,
    RejectReason,
)
from exchange.matching.types import (
    AmendOrder,
    CancelOrder,
    Collar,
    Command,
    Lots,
    Order,
    OrderId,
    OrderType,
    PostOnly,
    PriceRange,
    PriceTicks,
    SelfTrade,
    Side,
    TimeInForce,
)


@dataclass
class Standing:
    order: Order
    left: int


@dataclass
class SortEverything:
    band: PriceRange
    resting: list[Standing] = field(default_factory=list)

    def apply(self, command: Command, collar: Collar | None) -> tuple[Event, ...]:
        if isinstance(command, CancelOrder):
            return tuple(self._cancel(command.order_id))
        if isinstance(command, AmendOrder):
            return tuple(self._amend(command, collar))
        return tuple(self._place(command, collar))

    def ranked(self, side: Side) -> list[Standing]:
        sign = -1 if side is Side.BUY else 1
        return sorted((each for each in self.resting if each.order.side is side), key=lambda each: sign * _price(each))

    def depth(self) -> Depth:
        return Depth(bids=self._levels(Side.BUY), asks=self._levels(Side.SELL))

    def _levels(self, side: Side) -> tuple[DepthLevel, ...]:
        ranked = self.ranked(side)
        lots = {price: [each.left for each in ranked if _price(each) == price] for price in map(_price, ranked)}
        return tuple(DepthLevel(PriceTicks(price), Lots(sum(at)), len(at)) for price, at in lots.items())

    def _cancel(self, order_id: OrderId) -> list[Event]:
        for each in self.resting:
            if each.order.order_id == order_id:
                self.resting.remove(each)
                return [OrderClosed(each.order, CloseReason.CANCELLED, Lots(each.left))]
        return [OrderRejected(order_id, RejectReason.UNKNOWN_ORDER)]

    def _amend(self, command: AmendOrder, collar: Collar | None) -> list[Event]:
        old = next((each for each in self.resting if each.order.order_id == command.order_id), None)
        if old is None:
            return [OrderRejected(command.order_id, RejectReason.UNKNOWN_ORDER)]
        before, lots_before = old.order, Lots(old.left)
        filled = before.lots - old.left
        if command.lots <= filled:
            return self._cancel(command.order_id)
        left = Lots(command.lots - filled)
        after = replace(before, price_ticks=command.price_ticks, lots=command.lots)
        if after.price_ticks == before.price_ticks and command.lots <= before.lots:
            old.order, old.left = after, left
            return [OrderAmended(before, after, lots_before, left, True)]
        moved = self._without_trading(after)
        if moved is None:
            return [OrderRejected(command.order_id, RejectReason.WOULD_TRADE)]
        self.resting.remove(old)
        events: list[Event] = [OrderAmended(before, moved, lots_before, left, False)]
        events += self._trade(moved, left, collar)
        return [event for event in events if not isinstance(event, OrderRested)]

    def _place(self, order: Order, collar: Collar | None) -> list[Event]:
        moved = self._without_trading(order)
        if moved is None:
            return [OrderRejected(order.order_id, RejectReason.WOULD_TRADE)]
        if order.time_in_force is TimeInForce.FOK:
            tried = deepcopy(self)._trade(replace(order, time_in_force=TimeInForce.IOC), order.lots, collar)
            if sum(event.lots for event in tried if isinstance(event, OrderFilled)) < order.lots:
                return [OrderAccepted(order, order.lots), OrderClosed(order, CloseReason.FOK_NOT_FILLED, order.lots)]
        return [OrderAccepted(moved, order.lots), *self._trade(moved, order.lots, collar)]

    def _without_trading(self, order: Order) -> Order | None:
        best = self._best_against(order)
        if best is None or order.post_only is PostOnly.NO:
            return order
        price = _price(best) + (-1 if order.side is Side.BUY else 1)
        if order.post_only is PostOnly.REJECT or price < 1 or price not in self.band:
            return None
        return replace(order, price_ticks=PriceTicks(price))

    def _best_against(self, order: Order) -> Standing | None:
        for each in self.ranked(Side.SELL if order.side is Side.BUY else Side.BUY):
            if (_price(each) <= order.price_ticks) if order.side is Side.BUY else (_price(each) >= order.price_ticks):
                return each
        return None

    def _trade(self, order: Order, left: int, collar: Collar | None) -> list[Event]:
        events: list[Event] = []
        spent = bought = 0

        def end(reason: CloseReason) -> list[Event]:
            return [*events, OrderClosed(order, reason, Lots(left))]

        while left:
            maker = self._best_against(order)
            if maker is None:
                break
            price = _price(maker)
            lots = min(left, maker.left)
            if order.budget is not None:
                lots = min(lots, (order.budget - spent) // price)
                if not lots:
                    return end(CloseReason.BUDGET_SPENT if bought else CloseReason.IOC_REMAINDER)
            if maker.order.group_id == order.group_id:
                wish = order.self_trade
                events.append(
                    MatchPrevented(
                        order, maker.order, wish, PriceTicks(price), Lots(lots), Lots(left), Lots(maker.left)
                    )
                )
                if wish is SelfTrade.CANCEL_NEWEST:
                    return end(CloseReason.SELF_TRADE)
                if wish is SelfTrade.DECREMENT and lots < maker.left:
                    events.append(_lower(maker, lots))
                    return end(CloseReason.SELF_TRADE)
                self.resting.remove(maker)
                events.append(OrderClosed(maker.order, CloseReason.SELF_TRADE, Lots(maker.left)))
                if wish is SelfTrade.CANCEL_BOTH:
                    return end(CloseReason.SELF_TRADE)
                if wish is SelfTrade.DECREMENT and order.budget is not None:
                    spent += lots * price
                    if order.budget - spent < price:
                        return end(CloseReason.SELF_TRADE)
                elif wish is SelfTrade.DECREMENT:
                    if lots == left:
                        return end(CloseReason.SELF_TRADE)
                    newer = Standing(order, left)
                    events.append(_lower(newer, lots))
                    order, left = newer.order, newer.left
                continue
            if collar is not None and not collar.low_ticks <= price <= collar.high_ticks:
                events.append(CollarReached(order, PriceTicks(price)))
                return end(CloseReason.PRICE_COLLAR)
            left, maker.left = left - lots, maker.left - lots
            spent, bought = spent + lots * price, bought + lots
            events.append(OrderFilled(order, maker.order, PriceTicks(price), Lots(lots), Lots(left), Lots(maker.left)))
            if not maker.left:
                self.resting.remove(maker)
                events.append(OrderClosed(maker.order, CloseReason.FILLED, Lots(0)))
        if not left:
            return end(CloseReason.FILLED)
        if order.order_type is OrderType.MARKET or order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
            return end(CloseReason.IOC_REMAINDER)
        self.resting.append(Standing(order, left))
        return [*events, OrderRested(order, Lots(left))]


def _price(standing: Standing) -> int:
    return standing.order.price_ticks


def _lower(standing: Standing, lots: int) -> OrderAmended:
    before, lots_before = standing.order, Lots(standing.left)
    standing.order, standing.left = replace(before, lots=Lots(before.lots - lots)), standing.left - lots
    return OrderAmended(before, standing.order, lots_before, Lots(standing.left), True)
