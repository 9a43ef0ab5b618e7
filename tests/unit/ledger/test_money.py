from __future__ import annotations

from typing import Any

import pytest

from ledger.errors import InvalidAmount
from ledger.money import (
    MAX_JSON_INTEGER,
    div_ceil,
    format_micros,
    parse_count,
    parse_micros,
    split_largest_remainder,
)


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0.000000"),
        (1, "0.000001"),
        (-1, "-0.000001"),
        (1_234_500, "1.234500"),
        (-420_000_000, "-420.000000"),
        (2**63 - 1, "9223372036854.775807"),
    ],
)
def test_amounts_have_six_fraction_digits_and_read_back(micros: int, text: str) -> None:
    assert format_micros(micros) == text
    assert parse_micros(text) == micros


def test_fewer_fraction_digits_are_read_too() -> None:
    assert parse_micros("4") == 4_000_000
    assert parse_micros("4.2") == 4_200_000


@pytest.mark.parametrize(
    "text", ["", "4.", ".5", "1e3", "4,20", " 4", "4\n", "+4", "--4", "4.2000001", "NaN", "٤", 4, 4.2, None, True]
)
def test_what_is_not_an_amount_is_refused_by_name(text: Any) -> None:
    with pytest.raises(InvalidAmount) as refused:
        parse_micros(text, field="limit_price")
    assert refused.value.code == "invalid_amount"
    assert refused.value.fields["field"] == "limit_price"


@pytest.mark.parametrize(("value", "number"), [(0, 0), ("12", 12), (MAX_JSON_INTEGER, MAX_JSON_INTEGER)])
def test_counts_are_integers_or_their_strings(value: Any, number: int) -> None:
    assert parse_count(value, field="quantity") == number


@pytest.mark.parametrize("value", [-1, "-1", MAX_JSON_INTEGER + 1, str(2**53), 1.0, "1.0", True, None, "", "x", []])
def test_counts_out_of_range_or_kind_are_refused(value: Any) -> None:
    with pytest.raises(InvalidAmount) as refused:
        parse_count(value, field="quantity")
    assert refused.value.fields == {"field": "quantity", "minimum": "0", "maximum": str(MAX_JSON_INTEGER)}


@pytest.mark.parametrize(("dividend", "divisor", "result"), [(0, 5, 0), (1, 5, 1), (5, 5, 1), (6, 5, 2), (-6, 5, -1)])
def test_division_rounds_up(dividend: int, divisor: int, result: int) -> None:
    assert div_ceil(dividend, divisor) == result


def test_units_left_over_go_to_the_largest_remainders_then_the_lowest_ids() -> None:
    assert split_largest_remainder(100, {"c": 1, "b": 1, "a": 1}) == {"a": 34, "b": 33, "c": 33}
    assert split_largest_remainder(10, {"a": 1, "b": 2}) == {"a": 3, "b": 7}
    assert split_largest_remainder(7, {"a": 0, "b": 1}) == {"a": 0, "b": 7}


@pytest.mark.parametrize(("total", "weights"), [(-1, {"a": 1}), (1, {}), (1, {"a": 0}), (1, {"a": 2, "b": -1})])
def test_splits_without_a_whole_are_refused(total: int, weights: dict[str, int]) -> None:
    with pytest.raises(InvalidAmount):
        split_largest_remainder(total, weights)
