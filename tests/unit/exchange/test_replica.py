from __future__ import annotations

import pytest

from exchange.market_data.replica import Delta, Level, Replica, SequenceGap, Trade, read_delta, replica_of


def test_a_delta_moves_adds_and_removes_levels() -> None:
    copy = Replica(7, {10: Level(10, 5, 2), 9: Level(9, 1, 1)}, {12: Level(12, 3, 1)})
    assert copy.apply(Delta(8, (Level(10, 0, 0), Level(8, 4, 1)), (Level(12, 2, 1), Level(11, 6, 2))))
    assert copy.sequence == 8
    assert copy.best_bids() == [Level(9, 1, 1), Level(8, 4, 1)]
    assert copy.best_asks() == [Level(11, 6, 2), Level(12, 2, 1)]
    assert copy.apply(Delta(9, (Level(10, 0, 0),), ()))  # a level that came and went within the change


def test_what_is_in_already_is_passed_over_and_a_gap_is_not() -> None:
    copy = Replica(7, {10: Level(10, 5, 2)})
    assert not copy.apply(Delta(7, (Level(10, 1, 1),), ()))
    with pytest.raises(SequenceGap):
        copy.apply(Delta(9, (Level(10, 1, 1),), ()))
    assert copy == Replica(7, {10: Level(10, 5, 2)})


def test_the_rest_interfaces_texts_are_read_as_micros() -> None:
    levels = [{"price": "4.210000", "lots": "3", "orders": "2"}]
    assert replica_of({"sequence": "5", "bids": levels, "asks": []}) == Replica(
        5, {4_210_000: Level(4_210_000, 3, 2)}, {}
    )
    trades = [{"trade_no": "4", "price": "4.210000", "lots": "1", "taker_side": "buy"}]
    delta = {"sequence": "6", "bids": [], "asks": levels, "trades": trades, "busted": ["2"]}
    assert read_delta(delta) == Delta(6, (), (Level(4_210_000, 3, 2),), (Trade(4, 4_210_000, 1),), (2,))


def test_a_trade_that_is_taken_back_stands_no_more() -> None:
    copy = Replica(7, {10: Level(10, 5, 2)})
    copy.apply(Delta(8, (), (), (Trade(1, 11, 2), Trade(2, 12, 1))))
    copy.apply(Delta(9, (), (), busted=(1,)))
    assert copy.trades == {2: Trade(2, 12, 1)}
    assert copy.apply(Delta(10, (), (), busted=(0,)))  # from before the snapshot
    assert copy == Replica(10, {10: Level(10, 5, 2)})
