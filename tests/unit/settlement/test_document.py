"""SETTLEMENT.md says what the calculation does: each of its examples is executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from fractions import Fraction
from typing import Any

import pytest

from exchange.gate_record import Traded, choose_reference
from ledger.money import split_largest_remainder
from settlement.calculation import PositionInput, PositionOutcome, PositionTerms, calculate, difference, exact_figures
from settlement.outcome import PAYOUTS, Payout
from settlement.position import PERMILLE, PPM
from settlement.sla import nearest_rank
from settlement.statements.party_lines import LineTerms, position_lines
from tests.unit.settlement.document_examples import PARTIES, Example, blocks, position_of, terms_of, whole
from tests.unit.settlement.worked_examples import WINDOW_START

BLOCKS = blocks()
NAMED = {example["example"]: example for example in BLOCKS if "example" in example}
POSITIONS = [example for example in BLOCKS if {"terms", "position"} & set(example) or "exact" in example]
FIGURES = {field.name for field in fields(PositionOutcome)}


@pytest.mark.parametrize("example", POSITIONS)
def test_a_position_comes_to_what_the_document_says(example: Example) -> None:
    terms, position = inputs(example)
    outcome = calculate(terms, position)
    check(outcome, example.get("gives", {}))
    if "after" in example:
        check(difference(outcome, calculate(*inputs(NAMED[example["after"]]))), example["change"])
    exact = exact_figures(terms, position)
    assert {kind: "/".join(map(str, exact[kind])) for kind in example.get("exact", {})} == example.get("exact", {})


def test_every_figure_of_a_position_has_an_example() -> None:
    told = {name for example in POSITIONS for name in (*example.get("gives", {}), *example.get("change", {}))}
    assert FIGURES - told == set()


def test_the_exact_amounts_of_an_example_are_all_that_there_are() -> None:
    (example,) = [example for example in BLOCKS if "exact" in example]
    exact = {kind: Fraction(*ratio) for kind, ratio in exact_figures(*inputs(example)).items()}
    assert exact.keys() == example["exact"].keys()
    escrow = ("delivered", "take_or_pay", "refund_short", "refund_unused")
    assert sum(exact[kind] for kind in escrow) == whole(example, NAMED)["position"]["notional_micros"]


@pytest.mark.parametrize("example", [example for example in BLOCKS if "nearest_rank" in example])
def test_percentiles(example: Example) -> None:
    assert nearest_rank(example["nearest_rank"], example["percent"]) == example["gives"]


@pytest.mark.parametrize("example", [example for example in BLOCKS if "split" in example])
def test_splits(example: Example) -> None:
    assert split_largest_remainder(example["split"], example["weights"]) == example["gives"]


@pytest.mark.parametrize("example", [example for example in BLOCKS if "reference" in example])
def test_reference_prices(example: Example) -> None:
    asked = example["reference"]
    reference = choose_reference(
        Traded(*asked["own"]),
        [Traded(*wider) for wider in asked["wider"]],
        tick_micros=10_000,
        last_settled_micros=asked["last_settled_micros"],
        listing_ticks=asked["listing_ticks"],
    )
    assert [reference.step.value, reference.micros] == example["gives"]


@pytest.mark.parametrize("example", [example for example in BLOCKS if "tax" in example])
def test_every_line_carries_category_and_rate(example: Example) -> None:
    terms, position = inputs(example)
    outcome = calculate(terms, position)
    rate = example["tax"]["rate_permille"] * (PPM // PERMILLE)
    lines = position_lines(
        LineTerms(
            "C@1", WINDOW_START, WINDOW_START, "buyer", "provider", "house", position.tokens,
            position.notional_micros, position.reference_price_micros, example["tax"]["category"], rate,
        ),
        outcome, None, exact_figures(terms, position, outcome), reference="run/C@1/0001",
        codes={number: code for code, number in PARTIES.items()},
    )  # fmt: skip
    assert {(line.tax_category, line.tax_rate_ppm) for line in lines} == {tuple(example["gives"]["on_every_line"])}
    assert {line.party for line in lines} >= {"buyer", "provider", "compute-co", "model-co", "power-co"}


def inputs(example: Example) -> tuple[PositionTerms, PositionInput]:
    parts = whole(example, NAMED)
    return terms_of(parts["terms"]), position_of(parts["position"])


def check(outcome: PositionOutcome, expected: Mapping[str, Any]) -> None:
    """Only what the example names, but all of that."""
    told: dict[str, Any] = {}
    for name in expected:
        figure = getattr(outcome, name)
        if name in PAYOUTS:
            figure = payout(figure, expected[name])
        elif name == "made_up_from":
            figure = dict(figure)
        elif name == "missed":
            figure = list(figure)
        told[name] = figure
    assert told == expected


def payout(figure: Payout, expected: Mapping[str, Any]) -> dict[str, Any]:
    parts = {
        "gross": figure.gross_micros,
        "fee": figure.fee_micros,
        "net": figure.net_micros,
        "shares": {amount.share.beneficiary: amount.micros for amount in figure.shares},
        "to": {amount.share.beneficiary: amount.share.recipient.value for amount in figure.shares},
    }
    return {name: parts[name] for name in expected}
