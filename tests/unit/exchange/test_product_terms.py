"""A product's terms: exactly their parts, in range, and one hash for one content."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from exchange.errors import InvalidTerms
from exchange.terms import MakeUpTerms, ProductTerms, SlaTerms
from tests import product_terms

TERMS = replace(product_terms.TERMS, weights={"input_uncached": 1_000, "output_visible": 4_000})


def test_terms_survive_their_json() -> None:
    assert ProductTerms.from_json(json.loads(json.dumps(TERMS.to_json()))) == TERMS


def test_the_hash_does_not_depend_on_the_order_of_the_parts() -> None:
    shuffled = dict(sorted(TERMS.to_json().items(), reverse=True))
    shuffled["weights"] = dict(reversed(shuffled["weights"].items()))
    assert ProductTerms.from_json(shuffled).terms_hash == TERMS.terms_hash
    assert TERMS.terms_hash.hex() == "085418e283bc54d8e06965466ee9bf73b53e9287baeac31bdba26df5e534ba84"


def test_terms_that_are_not_agreed_leave_no_trace_and_those_that_are_do() -> None:
    agreed = replace(TERMS, sla=SlaTerms(50, 50, 100, 150, 20), make_up=MakeUpTerms(500, 24))
    assert not {"sla", "make_up"} & TERMS.to_json().keys()
    assert ProductTerms.from_json(json.loads(json.dumps(agreed.to_json()))) == agreed
    assert len({each.terms_hash for each in (TERMS, agreed, replace(agreed, sla=None))}) == 3
    with pytest.raises(InvalidTerms):
        ProductTerms.from_json(TERMS.to_json() | {"make_up": None})
    with pytest.raises(InvalidTerms):
        MakeUpTerms(permille=1_001, windows=1)


def test_any_change_changes_the_hash() -> None:
    assert replace(TERMS, take_or_pay_permille=601).terms_hash != TERMS.terms_hash


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lot_tokens", 50_000),
        ("max_request_tokens", 100_001),
        ("max_request_tokens", 0),
        ("tick_micros", 1),
        ("take_or_pay_permille", 1_001),
        ("damages_cap_permille", 2_001),
        ("burst_permille", 999),
        ("buyer_fee_ppm", 100_001),
        ("tax_rate_permille", -1),
        ("refused_output_tokens", 1.5),
        ("refused_output_tokens", True),
        ("region", " "),
        ("currency", 5),
        ("weights", {}),
        ("weights", {"input_uncached": -1}),
        ("weights", None),
        ("model", {"name": "x"}),
        ("service_class", None),
    ],
)
def test_terms_out_of_range_are_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidTerms) as refusal:
        ProductTerms.from_json(TERMS.to_json() | {field: value})
    assert refusal.value.fields["field"].startswith(field)


@pytest.mark.parametrize("parts", [{}, {"surplus": 1}])
def test_terms_have_exactly_their_parts(parts: dict[str, int]) -> None:
    given = TERMS.to_json() | parts if parts else {}
    with pytest.raises(InvalidTerms):
        ProductTerms.from_json(given)
