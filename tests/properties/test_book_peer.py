"""Plain limit orders and cancels make the same trades here and in another engine, written by others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.matching.book import Book
from exchange.matching.engine import cancel, place
from exchange.matching.events import OrderFilled
from exchange.matching.types import GroupId, Lots, Order, OrderId, PartyId, PriceTicks, Side
from tests.properties.order_flows import CONTRACT

peer = pytest.importorskip(
    "lightmatchingengine.lightmatchingengine", reason="lightmatchingengine is not installed: no second opinion on fills"
)

_limits = st.tuples(st.sampled_from(Side), st.integers(1, 8), st.integers(1, 20))
_lines = st.lists(_limits | st.integers(1, 60), max_size=60)


@given(_lines)
def test_plain_orders_trade_as_in_lightmatchingengine(line: list[Any]) -> None:
    """A line is of limits and of numbers of orders to cancel; both number orders from 1. The peer counts on being asked
    to cancel open orders only."""
    book, other, placed = Book(CONTRACT), peer.LightMatchingEngine(), 0
    for each in line:
        if isinstance(each, int):
            if OrderId(each) in book:
                cancel(book, OrderId(each))
                assert other.cancel_order(each, "X") is not None
            continue
        side, price, lots = each
        placed += 1
        order = Order(OrderId(placed), CONTRACT, PartyId(1), side, PriceTicks(price), Lots(lots), GroupId(placed))
        events = place(book, order)
        theirs, trades = other.add_order("X", price, lots, peer.Side.BUY if side is Side.BUY else peer.Side.SELL)
        assert theirs.order_id == placed
        assert [
            (event.maker.order_id, event.price_ticks, event.lots) for event in events if isinstance(event, OrderFilled)
        ] == [(trade.order_id, trade.trade_price, trade.trade_qty) for trade in trades if trade.order_id != placed]
        assert theirs.leaves_qty == book.lots_left(order.order_id)
