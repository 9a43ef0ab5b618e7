"""A product's terms change from one version to the next, and no contract's ever."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from exchange.commands.change_terms import ChangeTerms, change_terms
from exchange.commands.list_product import ListProduct, list_product
from exchange.errors import InvalidTerms, UnknownProduct
from exchange.models import ProductTerms
from exchange.rows import product_terms
from exchange.selectors.products import get_product
from exchange.terms import ModelBuild
from ledger.errors import DomainError, InvalidText, ReasonMissing
from ledger.models import ActionLog
from tests.integration.exchange.market import ACTOR, CODE, NOW, START, TERMS, Market

DEARER = replace(TERMS, damages_permille=900, weights={"input_uncached": 1_000, "output_visible": 5_000})
REASON = "Probes fail more often."


def change(terms: Any = DEARER, version: int = 1, code: str = CODE, reason: str = REASON) -> ProductTerms:
    return change_terms(ChangeTerms(code, version, terms, reason), actor=ACTOR, now=NOW)


def test_what_is_listed_from_then_on_pins_the_next_version(market: Market) -> None:
    row = change()
    assert (row.version, row.terms_hash, row.created_by, row.created_at) == (2, DEARER.terms_hash, ACTOR, NOW)
    later = market.list_window(START + timedelta(hours=1))
    market.contract.refresh_from_db()
    assert product_terms(market.contract) == TERMS
    assert product_terms(later) == DEARER
    assert later.asset.terms_hash is not None
    assert bytes(later.asset.terms_hash) == DEARER.terms_hash
    shown = get_product(CODE)
    assert (shown.version, shown.terms, shown.terms_hash) == (2, DEARER, DEARER.terms_hash.hex())
    told = ActionLog.objects.get(action="change_terms")
    assert (told.subject, told.reason) == (f"product:{CODE}", REASON)
    assert told.details == {"version": 2, "terms_hash": DEARER.terms_hash.hex()}


def test_they_may_go_back_to_what_they_were(market: Market) -> None:
    change()
    assert change(TERMS, version=2).version == 3
    assert get_product(CODE).terms == TERMS


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (replace(DEARER, model=ModelBuild("Other", "fp8", 131_072, "qwen3")), "model"),
        (replace(DEARER, region="eu-west"), "region"),
        (replace(DEARER, service_class=replace(TERMS.service_class, availability_ppm=1)), "service_class"),
        (replace(DEARER, currency="EUR"), "currency"),
        (replace(DEARER, lot_tokens=1_000_000), "lot_tokens"),
        (replace(DEARER, tick_micros=100_000), "tick_micros"),
        (TERMS, "terms"),
    ],
)
def test_another_quality_is_another_product(market: Market, terms: Any, field: str) -> None:
    with pytest.raises(InvalidTerms) as refused:
        change(terms)
    assert refused.value.fields["field"] == field
    assert ProductTerms.objects.count() == 1
    assert not ActionLog.objects.filter(action="change_terms").exists()


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"code": "NOTHING.CN-EAST.STD"}, UnknownProduct),
        ({"reason": " "}, ReasonMissing),
        ({"reason": "x" * 201}, InvalidText),
        ({"version": 2}, InvalidTerms),
        ({"version": 0}, InvalidTerms),
    ],
)
def test_a_change_needs_a_product_a_reason_and_the_version_it_was_made_from(
    market: Market, changes: dict[str, Any], refusal: type[DomainError]
) -> None:
    with pytest.raises(refusal):
        change(**changes)
    assert ProductTerms.objects.count() == 1


def test_of_some_at_once_one_is_written(market: Market) -> None:
    list_product(ListProduct("OTHER.CN-EAST.STD", "", TERMS), actor=ACTOR, now=NOW)

    def attempt(permille: int) -> str:
        try:
            change(replace(TERMS, damages_permille=permille))
        except InvalidTerms as refused:
            return str(refused.fields["field"])
        finally:
            connection.close()
        return "written"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, range(4))) == ["version", "version", "version", "written"]
    versions = ProductTerms.objects.filter(product=market.product).order_by("version").values_list("version", flat=True)
    assert list(versions) == [1, 2]
    assert get_product("OTHER.CN-EAST.STD").version == 1
