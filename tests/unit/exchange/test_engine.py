"""The matching engine, case by case. Priority and rebuilding in general: tests/properties/test_book.py."""

from __future__ import annotations

import pytest

from exchange.matching.book import Book, Depth, DepthLevel
from exchange.matching.engine import apply, cancel, close_book, place, restore
from exchange.matching.events import (
    CloseReason,
    Event,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderRejected,
    OrderRested,
    RejectReason,
)
from exchange.matching.invariants import check_book
from exchange.matching.types import (
    BrokenInvariant,
    CancelOrder,
    ContractId,
    LimitOrder,
    Lots,
    OrderId,
    PartyId,
    PriceTicks,
    Side,
    TimeInForce,
)

CONTRACT = ContractId(1)


def order(
    order_id: int,
    side: Side,
    price: int,
    lots: int,
    *,
    party: int | None = None,
    tif: TimeInForce = TimeInForce.GTC,
) -> LimitOrder:
    party_id = PartyId(order_id if party is None else party)
    return LimitOrder(OrderId(order_id), CONTRACT, party_id, side, PriceTicks(price), Lots(lots), tif)


def buy(order_id: int, price: int, lots: int, **options: object) -> LimitOrder:
    return order(order_id, Side.BUY, price, lots, **options)  # type: ignore[arg-type]


def sell(order_id: int, price: int, lots: int, **options: object) -> LimitOrder:
    return order(order_id, Side.SELL, price, lots, **options)  # type: ignore[arg-type]


def book_of(*orders: LimitOrder) -> Book:
    book = Book(CONTRACT)
    for each in orders:
        place(book, each)
        check_book(book)
    return book


def fill(taker: int, maker: int, side: Side, price: int, lots: int, taker_left: int, maker_left: int) -> Event:
    return OrderFilled(
        OrderId(taker), OrderId(maker), side, PriceTicks(price), Lots(lots), Lots(taker_left), Lots(maker_left)
    )


def accepted(order_id: int, lots: int) -> Event:
    return OrderAccepted(OrderId(order_id), Lots(lots))


def closed(order_id: int, reason: CloseReason, lots: int) -> Event:
    return OrderClosed(OrderId(order_id), reason, Lots(lots))


def test_an_order_that_meets_nothing_rests() -> None:
    book = Book(CONTRACT)
    assert place(book, buy(1, 10, 5)) == (accepted(1, 5), OrderRested(OrderId(1), Lots(5)))
    assert place(book, sell(2, 11, 3)) == (accepted(2, 3), OrderRested(OrderId(2), Lots(3)))
    assert (book.best_price(Side.BUY), book.best_price(Side.SELL)) == (10, 11)


def test_a_taker_pays_the_makers_price_best_first_and_rests_with_what_is_left() -> None:
    book = book_of(sell(1, 12, 4), sell(2, 10, 3), sell(3, 10, 2))
    assert place(book, buy(4, 11, 7)) == (
        accepted(4, 7),
        fill(4, 2, Side.BUY, 10, 3, 4, 0),
        closed(2, CloseReason.FILLED, 0),
        fill(4, 3, Side.BUY, 10, 2, 2, 0),
        closed(3, CloseReason.FILLED, 0),
        OrderRested(OrderId(4), Lots(2)),
    )
    check_book(book)


def test_a_selling_taker_meets_the_highest_bid_first() -> None:
    book = book_of(buy(1, 9, 1), buy(2, 10, 5))
    assert place(book, sell(3, 9, 4)) == (
        accepted(3, 4),
        fill(3, 2, Side.SELL, 10, 4, 0, 1),
        closed(3, CloseReason.FILLED, 0),
    )
    assert book.lots_left(OrderId(2)) == 1


def test_a_partly_filled_maker_keeps_its_place() -> None:
    book = book_of(sell(1, 10, 5), sell(2, 10, 5), buy(3, 10, 2))
    assert place(book, buy(4, 10, 1))[1] == fill(4, 1, Side.BUY, 10, 1, 0, 2)


def test_ioc_never_rests() -> None:
    book = book_of(sell(1, 10, 2))
    assert place(book, buy(2, 10, 5, tif=TimeInForce.IOC))[-1] == closed(2, CloseReason.IOC_REMAINDER, 3)
    assert place(book, buy(3, 10, 5, tif=TimeInForce.IOC)) == (accepted(3, 5), closed(3, CloseReason.IOC_REMAINDER, 5))
    assert len(book) == 0


def test_the_newer_order_of_a_party_gives_way_before_it_meets_the_older() -> None:
    book = book_of(sell(1, 10, 2, party=8), sell(2, 11, 2, party=9), sell(3, 12, 2, party=8))
    assert place(book, buy(4, 12, 6, party=9)) == (
        accepted(4, 6),
        fill(4, 1, Side.BUY, 10, 2, 4, 0),
        closed(1, CloseReason.FILLED, 0),
        closed(4, CloseReason.SELF_TRADE, 4),
    )
    assert (OrderId(2) in book, OrderId(4) in book) == (True, False)


def test_a_cancel_takes_the_order_out_once() -> None:
    book = book_of(buy(1, 10, 5))
    command = CancelOrder(OrderId(1), CONTRACT)
    assert apply(book, command) == (closed(1, CloseReason.CANCELLED, 5),)
    assert apply(book, command) == (OrderRejected(OrderId(1), RejectReason.UNKNOWN_ORDER),)
    assert book.depth(5) == Depth((), ())


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_a_queue_closes_ranks_wherever_an_order_leaves(gone: int) -> None:
    book = book_of(sell(1, 10, 1), sell(2, 10, 1), sell(3, 10, 1))
    cancel(book, OrderId(gone))
    check_book(book)
    left = [1, 2, 3]
    left.remove(gone)
    assert [each.order_id for each in book.in_priority()] == left


def test_gate_closure_closes_every_order_in_priority_order() -> None:
    book = book_of(sell(1, 12, 1), sell(2, 11, 2), buy(3, 9, 3), buy(4, 10, 4), buy(5, 10, 5))
    assert close_book(book) == tuple(
        closed(order_id, CloseReason.GATE_CLOSED, lots) for order_id, lots in [(4, 4), (5, 5), (3, 3), (2, 2), (1, 1)]
    )
    assert len(book) == 0
    check_book(book)


def test_depth_shows_totals_of_the_best_levels() -> None:
    book = book_of(buy(1, 9, 3), buy(2, 10, 4), buy(3, 10, 5), sell(4, 11, 6))
    bids = (DepthLevel(PriceTicks(10), Lots(9), 2), DepthLevel(PriceTicks(9), Lots(3), 1))
    assert book.depth(1) == Depth(bids[:1], (DepthLevel(PriceTicks(11), Lots(6), 1),))
    assert book.depth(9).bids == bids
    assert book.depth(0) == Depth((), ())


def test_restore_refuses_a_crossed_book() -> None:
    with pytest.raises(BrokenInvariant, match="crossed"):
        restore(CONTRACT, [buy(1, 10, 1), sell(2, 10, 1)])


@pytest.mark.parametrize("bad", [buy(2, 10, 0), buy(2, 10, -1), buy(2, 0, 1), buy(1, 9, 1)])
def test_the_core_raises_on_what_validation_should_have_stopped(bad: LimitOrder) -> None:
    book = book_of(buy(1, 10, 1))
    with pytest.raises(BrokenInvariant):
        place(book, bad)
    check_book(book)


def test_an_order_or_cancel_of_another_contract_raises() -> None:
    book = Book(ContractId(2))
    with pytest.raises(BrokenInvariant):
        place(book, buy(1, 10, 1))
    with pytest.raises(BrokenInvariant):
        apply(book, CancelOrder(OrderId(1), CONTRACT))


def test_filling_more_than_is_there_raises() -> None:
    book = book_of(buy(1, 10, 1))
    with pytest.raises(BrokenInvariant):
        book.fill(book.resting[OrderId(1)], Lots(2))


def test_check_book_notices_damage() -> None:
    def damage_total(book: Book) -> None:
        book.resting[OrderId(1)].level.lots = Lots(99)

    def damage_index(book: Book) -> None:
        del book.resting[OrderId(1)]

    def damage_link(book: Book) -> None:
        book.resting[OrderId(2)].before = None

    def damage_keys(book: Book) -> None:
        book.sides[Side.BUY].keys.insert(0, 99)

    def damage_spread(book: Book) -> None:
        book.rest(sell(9, 10, 1), Lots(1))

    def damage_tail(book: Book) -> None:
        book.resting[OrderId(1)].level.tail = book.resting[OrderId(1)]

    for damage in (damage_total, damage_index, damage_link, damage_keys, damage_spread, damage_tail):
        book = book_of(buy(1, 10, 1), buy(2, 10, 1), sell(3, 11, 1))
        damage(book)
        with pytest.raises(BrokenInvariant):
            check_book(book)
