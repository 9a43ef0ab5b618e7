"""Invoice rows against exact figures: however runs cut a period, the rows come to the rounded whole."""

from __future__ import annotations

from fractions import Fraction
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from settlement.invoices import InvoiceFigures, InvoiceKey, InvoiceLine, SideOfLine, changes, figures_of, group_lines
from settlement.minor_units import digits_of, format_minor, micros_per_minor, round_to_minor

HOUSE = 9
KEY = InvoiceKey(1, 2, "standard", 60_000)
CURRENCIES = st.sampled_from(["CNY", "EUR", "JPY", "KWD", "CLF"])
DELTAS = st.lists(st.integers(-(10**10), 10**10), min_size=1, max_size=12)
RATES = st.integers(0, 400_000)


@given(DELTAS, CURRENCIES, RATES)
def test_the_sum_of_all_rows_is_the_rounded_cumulative_whatever_the_runs(
    deltas: list[int], currency: str, rate: int
) -> None:
    key = KEY._replace(tax_rate_ppm=rate)
    standing: dict[InvoiceKey, InvoiceFigures] = {}
    rows: list[InvoiceFigures] = []
    cumulative = 0
    for delta in deltas:
        cumulative += delta
        for change in changes({key: cumulative}, standing, currency):
            if change.reverses is not None:
                assert standing.pop(key) == change.reverses
                rows.append(change.reverses.reversed())
            if change.states is not None:
                standing[key] = change.states
                rows.append(change.states)
        once = figures_of(cumulative, rate, currency)
        assert sum(row.gross_minor for row in rows) == once.gross_minor
        assert sum(row.net_minor for row in rows) == once.net_minor
        assert sum(row.tax_minor for row in rows) == once.tax_minor
        assert abs(once.gross_minor * micros_per_minor(currency) - cumulative) * 2 <= micros_per_minor(currency)


@given(st.integers(-(10**15), 10**15), CURRENCIES, RATES)
def test_a_row_is_the_exact_amount_rounded_once(micros: int, currency: str, rate: int) -> None:
    figures = figures_of(micros, rate, currency)
    assert figures.net_minor + figures.tax_minor == figures.gross_minor
    exact_net = Fraction(figures.gross_minor * 1_000_000, 1_000_000 + rate)
    assert abs(figures.net_minor - exact_net) <= Fraction(1, 2)
    assert figures_of(-micros, rate, currency) == figures.reversed()
    assert (figures.tax_minor >= 0) == (figures.gross_minor >= 0) or figures.tax_minor == 0


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=8), st.randoms())
def test_lines_of_both_sides_are_counted_once(amounts: list[int], dice: Random) -> None:
    lines = []
    for micros in amounts:
        lines.append(InvoiceLine(1, SideOfLine.PROVIDER, 2, "delivered", micros, "standard", 60_000))
        lines.append(InvoiceLine(2, SideOfLine.BUYER, 1, "delivered", 0, "standard", 60_000))
        lines.append(InvoiceLine(1, SideOfLine.PROVIDER, 2, "provider_fee", -micros // 100, "standard", 60_000))
        lines.append(InvoiceLine(HOUSE, SideOfLine.HOUSE, 1, "provider_fee", micros // 100, "standard", 60_000))
    dice.shuffle(lines)
    grouped = group_lines(lines, house_id=HOUSE)
    assert grouped == {
        InvoiceKey(1, 2, "standard", 60_000): sum(amounts),
        InvoiceKey(HOUSE, 1, "standard", 60_000): sum(-(-micros // 100) for micros in amounts),
    }


@given(st.integers(-(10**15), 10**15), CURRENCIES)
def test_minor_units_round_halves_away_from_zero_and_read_like_amounts(micros: int, currency: str) -> None:
    unit = micros_per_minor(currency)
    minor = round_to_minor(micros, currency)
    assert abs(minor * unit - micros) * 2 <= unit
    assert abs(minor) >= abs(micros) // unit
    assert Fraction(format_minor(minor, currency)) == Fraction(minor, 10 ** digits_of(currency))
