"""The matching engine where the order reference has no example. In general: tests/properties/test_book.py."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from exchange.matching.book import Book, Depth, DepthLevel
from exchange.matching.engine import apply, cancel, close_book, restore
from exchange.matching.events import CloseReason
from exchange.matching.invariants import check_book
from exchange.matching.types import (
    AmendOrder,
    BrokenInvariant,
    CancelOrder,
    ContractId,
    Lots,
    Order,
    OrderId,
    OrderType,
    PostOnly,
    PriceRange,
    PriceTicks,
    Side,
    TickLots,
    TimeInForce,
)
from tests.unit.exchange.order_texts import CONTRACT, book_of, parse_command, parse_order, run, standing, tell

ASKS = ("#1 sell 3 at 10 by A", "#2 sell 3 at 11 by C", "#3 sell 3 at 12 by A")


def order(line: str) -> Order:
    return parse_order(line)[0]


def test_orders_that_meet_nothing_rest() -> None:
    book = Book(CONTRACT)
    assert run(book, "#1 buy 5 at 10 by A") == ["#1 accepted, 5 at 10", "#1 rests with 5"]
    assert run(book, "#2 sell 3 at 11 by B") == ["#2 accepted, 3 at 11", "#2 rests with 3"]
    assert (book.best_price(Side.BUY), book.best_price(Side.SELL), len(book)) == (10, 11, 2)
    assert (book.lots_left(OrderId(1)), book.lots_left(OrderId(9))) == (5, 0)


def test_a_selling_taker_meets_the_highest_bid_first() -> None:
    book = book_of("#1 buy 1 at 9 by A", "#2 buy 5 at 10 by B")
    assert run(book, "#3 sell 4 at 9 by C")[1] == "#3 sells 4 to #2 at 10, which leaves 0 and 1"
    assert standing(book) == ["#2 buy 1 of 5 at 10 by B", "#1 buy 1 at 9 by A"]


def test_a_partly_filled_maker_keeps_its_place() -> None:
    book = book_of("#1 sell 3 of 5 at 10 by A", "#2 sell 5 at 10 by B")
    assert run(book, "#3 buy 1 at 10 by C")[1] == "#3 buys 1 from #1 at 10, which leaves 0 and 2"


@pytest.mark.parametrize("kind", ["ioc", "fok", "market ioc", "market fok", "market budget 50 ioc"])
@pytest.mark.parametrize("asks", [(), ("#1 sell 1 at 11 by A",)])
def test_what_never_rests_leaves_a_book_alone_that_it_does_not_cross(kind: str, asks: tuple[str, ...]) -> None:
    book = book_of(*asks)
    reason = "fok_not_filled" if "fok" in kind else "ioc_remainder"
    assert run(book, f"#5 buy 5 at 10 by B {kind}") == ["#5 accepted, 5 at 10", f"#5 closed, {reason}, 5 unfilled"]
    assert standing(book) == list(asks)


@pytest.mark.parametrize(
    ("command", "filled"),
    [
        ("#9 buy 6 at 12 by B fok", True),
        ("#9 buy 9 at 12 by B fok", True),
        ("#9 buy 9 at 12 by B market fok", True),
        ("#9 buy 10 at 12 by B fok", False),
        ("#9 buy 7 at 11 by B fok", False),
        ("#9 buy 3 at 12 by C fok", True),  # its own order comes only after it is full
        ("#9 buy 4 at 12 by C fok", False),
        ("#9 buy 4 at 12 by C fok cancel_both", False),
        ("#9 buy 4 at 12 by C fok decrement", False),
        ("#9 buy 6 at 12 by C fok cancel_oldest", True),
        ("#9 buy 7 at 12 by C fok cancel_oldest", False),
    ],
)
def test_fill_or_kill_trades_whole_or_not_at_all(command: str, filled: bool) -> None:
    book = book_of(*ASKS)
    told = run(book, command)
    assert (told[-1] == "#9 closed, filled") is filled
    if not filled:
        assert (len(told), "fok_not_filled" in told[-1]) == (2, True)
        assert standing(book) == list(ASKS)


def test_a_budget_that_buys_nothing_is_not_spent() -> None:
    book = book_of("#1 sell 3 at 10 by A")
    assert run(book, "#2 buy 9 at 12 by B market budget 9 ioc")[1:] == ["#2 closed, ioc_remainder, 9 unfilled"]
    assert run(book, "#3 buy 9 at 12 by B market budget 90 ioc")[-1] == "#3 closed, ioc_remainder, 6 unfilled"
    book = book_of("#1 sell 3 at 10 by A")
    assert run(book, "#4 buy 3 at 12 by B market budget 30 ioc")[-1] == "#4 closed, filled"


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        (20, ["#1 amended from 3 at 10 to 1 at 10, keeps its place", "#9 closed, self_trade, 9 unfilled"]),
        (30, ["#1 closed, self_trade, 3 unfilled", "#9 closed, self_trade, 9 unfilled"]),
        (39, ["#1 closed, self_trade, 3 unfilled", "#9 closed, self_trade, 9 unfilled"]),
        (
            41,
            [
                "#1 closed, self_trade, 3 unfilled",
                "#9 buys 1 from #2 at 11, which leaves 8 and 2",
                "#9 closed, budget_spent, 8 unfilled",
            ],
        ),
    ],
)
def test_a_budget_loses_what_a_prevented_trade_would_have_cost(budget: int, told: list[str]) -> None:
    book = book_of(*ASKS)
    lots = min(3, budget // 10)
    assert run(book, f"#9 buy 9 at 12 by A market budget {budget} ioc decrement")[1:] == [
        f"#9 and #1 do not trade {lots} at 10, decrement",
        *told,
    ]


def test_equal_orders_of_one_group_both_go_by_decrement() -> None:
    book = book_of("#1 sell 3 of 5 at 10 by A")
    assert run(book, "#2 buy 3 at 10 by A decrement")[2:] == [
        "#1 closed, self_trade, 3 unfilled",
        "#2 closed, self_trade, 3 unfilled",
    ]


def test_a_lowered_order_has_filled_what_it_had_filled() -> None:
    book = book_of("#1 sell 6 of 9 at 10 by A")
    run(book, "#2 buy 2 at 10 by A decrement")
    assert standing(book) == ["#1 sell 4 of 7 at 10 by A"]


@pytest.mark.parametrize("side", Side)
def test_a_post_only_order_has_no_price_below_one_tick_or_outside_the_band(side: Side) -> None:
    taken, given = (1, 5) if side is Side.BUY else (5, 1)
    other = "sell" if side is Side.BUY else "buy"
    band = PriceRange(1, 5)
    book = book_of(f"#1 {other} 1 at {taken} by A", band=band)
    assert run(book, f"#2 {side} 1 at {given} by B post_only reprice") == ["#2 refused, would_trade"]
    book = book_of("#1 sell 1 at 1 by A")
    assert run(book, "#2 buy 1 at 5 by A post_only reprice") == ["#2 refused, would_trade"]


def test_a_post_only_order_that_does_not_cross_keeps_its_price() -> None:
    book = book_of("#1 sell 1 at 10 by A")
    assert run(book, "#2 buy 1 at 9 by B post_only reprice")[0] == "#2 accepted, 1 at 9"
    assert run(book, "amend #2 to 1 at 11") == ["#2 amended from 1 at 9 to 1 at 9, loses its place"]


@pytest.mark.parametrize(
    ("line", "collar", "last"),
    [
        ("#9 buy 9 at 12 by B", "10 to 11", "#9 closed, price_collar, 3 unfilled"),
        ("#9 buy 9 at 12 by B", "11 to 12", "#9 closed, price_collar, 9 unfilled"),
        ("#9 buy 9 at 12 by B market ioc", "10 to 11", "#9 closed, price_collar, 3 unfilled"),
        ("#9 buy 9 at 12 by B fok", "10 to 11", "#9 closed, fok_not_filled, 9 unfilled"),
        ("#9 buy 6 at 12 by B fok", "10 to 11", "#9 closed, filled"),
        ("#9 buy 4 at 12 by C", "10 to 10", "#9 closed, self_trade, 1 unfilled"),
        ("#9 buy 9 at 13 by B", "10 to 12", "#9 closed, filled"),
    ],
)
def test_nothing_trades_outside_the_collar(line: str, collar: str, last: str) -> None:
    low, _, high = collar.split()
    told = run(book_of(*ASKS), line, PriceRange(int(low), int(high)))
    assert told[-1] == last
    assert ("price_collar" in last) is any("reaches the collar" in each for each in told)


def test_an_amendment_meets_the_collar_and_its_own_group_like_a_new_order() -> None:
    book = book_of("#8 buy 9 at 9 by B", *ASKS)
    assert run(book, "amend #8 to 9 at 12", PriceRange(9, 10))[-2:] == [
        "#8 reaches the collar at 11",
        "#8 closed, price_collar, 6 unfilled",
    ]
    book = book_of("#8 buy 5 of 9 at 9 by C decrement", *ASKS)
    assert run(book, "amend #8 to 9 at 11") == [
        "#8 amended from 5 of 9 at 9 to 5 of 9 at 11, loses its place",
        "#8 buys 3 from #1 at 10, which leaves 2 and 0",
        "#1 closed, filled",
        "#8 and #2 do not trade 2 at 11, decrement",
        "#2 amended from 3 at 11 to 1 at 11, keeps its place",
        "#8 closed, self_trade, 2 unfilled",
    ]


@pytest.mark.parametrize("lots", [0, 1, 2])
def test_an_amendment_to_what_is_filled_closes(lots: int) -> None:
    book = book_of("#1 buy 3 of 5 at 10 by A")
    assert run(book, f"amend #1 to {lots} at 11") == ["#1 closed, cancelled, 3 unfilled"]
    assert run(book, "amend #1 to 9 at 11") == ["#1 refused, unknown_order"]


def test_an_amendment_that_changes_nothing_keeps_the_place() -> None:
    book = book_of("#1 buy 3 of 5 at 10 by A", "#2 buy 1 at 10 by B")
    assert run(book, "amend #1 to 5 at 10") == ["#1 amended from 3 of 5 at 10 to 3 of 5 at 10, keeps its place"]
    assert standing(book) == ["#1 buy 3 of 5 at 10 by A", "#2 buy 1 at 10 by B"]


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_a_queue_closes_ranks_wherever_an_order_leaves(gone: int) -> None:
    book = book_of(*(f"#{number} sell 1 at 10 by A" for number in (1, 2, 3)))
    assert tell(cancel(book, OrderId(gone), CloseReason.EXPIRED)) == [f"#{gone} closed, expired, 1 unfilled"]
    check_book(book)
    assert [order.order_id for order, _ in book.in_priority()] == [each for each in (1, 2, 3) if each != gone]


def test_gate_closure_closes_every_order_in_priority_order() -> None:
    book = book_of(
        "#1 sell 1 at 12 by A",
        "#2 sell 1 of 2 at 11 by A",
        "#3 buy 3 at 9 by A",
        "#4 buy 4 at 10 by A",
        "#5 buy 5 at 10 by A",
    )
    assert tell(close_book(book)) == [
        f"#{number} closed, gate_closed, {lots} unfilled" for number, lots in [(4, 4), (5, 5), (3, 3), (2, 1), (1, 1)]
    ]
    assert (len(book), book.depth(9)) == (0, Depth((), ()))
    check_book(book)


def test_depth_shows_totals_of_the_best_levels() -> None:
    book = book_of("#1 buy 3 at 9 by A", "#2 buy 4 at 10 by A", "#3 buy 5 of 8 at 10 by B", "#4 sell 6 at 11 by C")
    bids = (DepthLevel(PriceTicks(10), Lots(9), 2), DepthLevel(PriceTicks(9), Lots(3), 1))
    assert book.depth(1) == Depth(bids[:1], (DepthLevel(PriceTicks(11), Lots(6), 1),))
    assert book.depth(9).bids == bids
    assert book.depth(0) == Depth((), ())


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["#1 buy 1 at 10 by A", "#2 sell 1 at 10 by B"], "crossed"),
        (["#1 buy 1 at 10 by A", "#1 buy 1 at 9 by A"], "already"),
        (["#1 buy 2 of 1 at 10 by A"], "cannot rest"),
        (["#1 buy 0 of 1 at 10 by A"], "cannot rest"),
        (["#1 buy 1 at 10 by A ioc"], "cannot rest"),
    ],
)
def test_restore_refuses_what_cannot_have_been_a_book(lines: list[str], message: str) -> None:
    with pytest.raises(BrokenInvariant, match=message):
        restore(CONTRACT, map(parse_order, lines))


@pytest.mark.parametrize(
    "wrong",
    [
        {"lots": 0},
        {"lots": -1},
        {"price_ticks": 0},
        {"post_only": PostOnly.REJECT, "time_in_force": TimeInForce.IOC},
        {"order_type": OrderType.MARKET},
        {"budget": TickLots(10)},
        {"budget": TickLots(10), "order_type": OrderType.MARKET, "time_in_force": TimeInForce.FOK},
        {
            "budget": TickLots(10),
            "order_type": OrderType.MARKET,
            "time_in_force": TimeInForce.IOC,
            "side": Side.SELL,
        },
        {"budget": TickLots(0), "order_type": OrderType.MARKET, "time_in_force": TimeInForce.IOC},
    ],
)
def test_an_order_that_validation_should_have_stopped_cannot_be_made(wrong: dict[str, object]) -> None:
    with pytest.raises(BrokenInvariant):
        replace(order("#1 buy 1 at 10 by A"), **wrong)


@pytest.mark.parametrize("wrong", ["#1 buy 1 at 9 by A", "amend #1 to -1 at 9", "amend #1 to 1 at 0"])
def test_the_book_raises_on_what_validation_should_have_stopped(wrong: str) -> None:
    book = book_of("#1 buy 1 at 10 by A")
    with pytest.raises(BrokenInvariant):
        apply(book, parse_command(wrong))
    assert standing(book) == ["#1 buy 1 at 10 by A"]


def test_a_command_of_another_contract_raises() -> None:
    book = Book(ContractId(2))
    for command in (
        order("#1 buy 1 at 10 by A"),
        CancelOrder(OrderId(1), CONTRACT),
        AmendOrder(OrderId(1), CONTRACT, PriceTicks(1), Lots(1)),
    ):
        with pytest.raises(BrokenInvariant):
            apply(book, command)


def test_check_book_notices_damage() -> None:
    def total(book: Book) -> None:
        book.resting[OrderId(1)].level.lots = 99

    def index(book: Book) -> None:
        del book.resting[OrderId(1)]

    def link(book: Book) -> None:
        book.resting[OrderId(2)].before = None

    def keys(book: Book) -> None:
        book.bids.keys.insert(0, 99)

    def spread(book: Book) -> None:
        book.rest(order("#9 sell 1 at 10 by A"), Lots(1))

    def tail(book: Book) -> None:
        book.resting[OrderId(1)].level.tail = book.resting[OrderId(1)]

    def band(book: Book) -> None:
        book.band = PriceRange(11, 12)

    def kind(book: Book) -> None:
        book.rest(order("#9 sell 1 at 12 by A ioc"), Lots(1))

    for damage in (total, index, link, keys, spread, tail, band, kind):
        book = book_of("#1 buy 1 at 10 by A", "#2 buy 1 at 10 by A", "#3 sell 1 at 11 by A")
        damage(book)
        with pytest.raises(BrokenInvariant):
            check_book(book)
