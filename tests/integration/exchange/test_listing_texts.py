"""What operators and providers write is checked before it reaches a column of a fixed length."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from exchange.commands.list_product import ListProduct, list_product
from exchange.commands.qualify_provider import QualifyProvider, qualify_provider
from exchange.commands.register_site import RegisterSite, register_site
from exchange.errors import InvalidQualification, InvalidSite, InvalidTerms
from exchange.models import Qualification
from tests.integration.exchange.market import ACTOR, CODE, NOW, TERMS, Market


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"endpoint_url": "ftp://example.com"}, "endpoint_url"),
        ({"endpoint_url": "http://[::1"}, "endpoint_url"),
        ({"endpoint_url": f"https://example.com/{'x' * 200}"}, "endpoint_url"),
        ({"model_name": " "}, "model_name"),
        ({"model_name": "x" * 121}, "model_name"),
        ({"access": "x" * 4_001}, "access"),
        ({"valid_until": NOW}, "valid_until"),
    ],
)
def test_a_malformed_qualification_is_refused(market: Market, change: dict[str, Any], field: str) -> None:
    figures: dict[str, Any] = {
        "provider_id": market.provider.id,
        "product_code": CODE,
        "endpoint_url": "https://example.com/v1",
        "model_name": "qwen3-235b",
        "access": "A key is sent.",
        "entitlement_attested_by": "counsel",
        "valid_from": NOW,
        "valid_until": NOW + timedelta(days=1),
    }
    with pytest.raises(InvalidQualification) as refusal:
        qualify_provider(QualifyProvider(**(figures | change)), actor=ACTOR, now=NOW)
    assert refusal.value.fields["field"] == field
    assert Qualification.objects.count() == 1


@pytest.mark.parametrize(("name", "region"), [("", "cn"), ("x" * 81, "cn"), ("site-2", " "), ("site-2", "x" * 41)])
def test_a_malformed_site_is_refused(market: Market, name: str, region: str) -> None:
    with pytest.raises(InvalidSite):
        register_site(RegisterSite(market.provider.id, name, region), actor=ACTOR, now=NOW)


def test_a_description_that_is_too_long_is_refused(market: Market) -> None:
    with pytest.raises(InvalidTerms):
        list_product(ListProduct("OTHER.CN-EAST.STD", "x" * 201, TERMS), actor=ACTOR, now=NOW)
