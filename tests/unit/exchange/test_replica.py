from __future__ import annotations

import pytest

from exchange.market_data.replica import Delta, Level, Replica, SequenceGap, read_delta, replica_of


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
    assert read_delta({"sequence": "6", "bids": [], "asks": levels}) == Delta(6, (), (Level(4_210_000, 3, 2),))
