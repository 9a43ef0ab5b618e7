"""What an operator does in the admin."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from exchange.models import Contract, ContractState, Product, Qualification
from exchange.sequencer.loop import drain
from ledger.errors import NotAuthenticated
from ledger.models import ActionLog, ApiKey, Party, User
from ledger.parties.access import get_access
from ledger.parties.keys import authenticate
from settlement.models import Meter
from tests.integration.admin.conftest import Site
from tests.integration.admin.people import PASSWORD
from tests.integration.settlement.trading_day import CODE, NOW, START, SYMBOL


def halt_url(act: str) -> str:
    return f"/admin/exchange/contract/{Contract.objects.get(symbol=SYMBOL).pk}/{act}/"


def test_halting_and_resuming_needs_a_reason(site: Site) -> None:
    assert site.operator.post(halt_url("halt"), reason=" ").status_code == 422
    assert site.operator.post(halt_url("halt"), reason="A meter fails.").status_code == 302
    drain(site.day.clock)
    assert Contract.objects.get(symbol=SYMBOL).state == ContractState.HALTED
    assert site.operator.get(halt_url("halt")).status_code == 403  # nothing left to halt
    assert site.operator.post(halt_url("resume"), reason="It works again.").status_code == 302
    drain(site.day.clock)
    assert Contract.objects.get(symbol=SYMBOL).state == ContractState.TRADING
    told = ActionLog.objects.filter(actor="user:olga", subject=f"contract:{SYMBOL}").values_list("action", "reason")
    assert list(told) == [("halt", "A meter fails."), ("resume", "It works again.")]


def test_a_key_is_shown_once_and_can_be_revoked(site: Site) -> None:
    party = site.day.parties["buyer-1"]
    response = site.operator.post(f"/admin/ledger/party/{party.pk}/issue-key/", label="desk", scopes=["read", "trade"])
    assert "no-store" in response.headers["Cache-Control"]
    text = re.search(r"tb_\w+_\w+", response.content.decode())
    assert text is not None
    key = authenticate(text[0])
    assert (key.party_id, key.scopes, key.created_by) == (party.pk, ["read", "trade"], "user:olga")
    for page in (f"/admin/ledger/apikey/{key.pk}/change/", "/admin/ledger/apikey/", "/audit/actions/"):
        assert text[0].split("_")[2] not in site.operator.text(page)
    assert site.buyer.post(f"/admin/ledger/apikey/{key.pk}/revoke/").status_code == 403
    assert site.operator.post(f"/admin/ledger/apikey/{key.pk}/revoke/").status_code == 302
    with pytest.raises(NotAuthenticated):
        authenticate(text[0])
    assert ApiKey.objects.get(pk=key.pk).revoked_at == NOW


def test_a_key_is_offered_the_scopes_that_its_party_can_use(site: Site) -> None:
    for code, offered in (("buyer-1", ["read", "trade", "meter"]), ("provider-1", ["read", "meter"])):
        address = f"/admin/ledger/party/{site.day.parties[code].pk}/issue-key/"
        assert re.findall(r'name="scopes" value="(\w+)"', site.operator.text(address)) == offered
    refused = site.operator.post(address, label="desk", scopes=["read", "trade"])
    assert refused.status_code == 422
    assert "trade is not one of the available choices" in refused.content.decode()
    assert not ApiKey.objects.exists()


def test_parties_and_people(site: Site) -> None:
    assert (
        site.operator.post("/admin/ledger/party/add/", code="new-cloud", name="New Cloud", kind="provider").status_code
        == 302
    )
    party = Party.objects.get(code="new-cloud")
    again = site.operator.post("/admin/ledger/party/add/", code="new-cloud", name="Other", kind="buyer")
    assert again.status_code == 422
    person = {"username": "nadia", "party": party.pk, "role": "provider_staff"}
    assert site.operator.post("/admin/ledger/user/add/", password="short", **person).status_code == 422
    assert site.operator.post("/admin/ledger/user/add/", password=PASSWORD, **person).status_code == 302
    user = User.objects.get(username="nadia")
    assert user.check_password(PASSWORD)
    assert get_access(user).provider_ids == {party.pk}


def contracts_data(**changes: Any) -> dict[str, Any]:
    return {
        "product": CODE,
        "length": "3600",
        "delivery_start": f"{START + timedelta(hours=4):%Y-%m-%dT%H:%M}",
        "windows": "3",
        "gate_open": f"{NOW:%Y-%m-%dT%H:%M}",
        "lead_minutes": "15",
        "listing_price": "4.2",
        "band_low": "2",
        "band_high": "8",
    } | changes


def test_contracts_are_listed_in_a_row(site: Site) -> None:
    assert site.operator.post("/admin/exchange/contract/add/", **contracts_data()).status_code == 302
    listed = Contract.objects.exclude(symbol=SYMBOL).order_by("delivery_start")
    assert [contract.delivery_start for contract in listed] == [START + timedelta(hours=4 + i) for i in range(3)]
    assert listed[0].gate_close == START + timedelta(hours=3, minutes=45)
    assert (listed[0].listing_price_ticks, listed[0].band_low_ticks, listed[0].band_high_ticks) == (420, 200, 800)


@pytest.mark.parametrize(
    "changes",
    [
        {"windows": "0"},
        {"windows": "6", "delivery_start": f"{START - timedelta(hours=3):%Y-%m-%dT%H:%M}"},  # runs into the listed one
        {"delivery_start": f"{START + timedelta(hours=4, minutes=5):%Y-%m-%dT%H:%M}"},
        {"listing_price": "9"},
        {"listing_price": "4.2001"},
        {"gate_open": f"{START + timedelta(hours=9):%Y-%m-%dT%H:%M}"},
    ],
)
def test_a_bad_row_of_contracts_lists_none(site: Site, changes: dict[str, str]) -> None:
    response = site.operator.post("/admin/exchange/contract/add/", **contracts_data(**changes))
    assert response.status_code == 422
    assert Contract.objects.count() == 1


def test_a_product_starts_from_the_terms_of_the_last(site: Site) -> None:
    form = site.operator.text("/admin/exchange/product/add/")
    data = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form)) | {
        "code": "GLM-5.CN-EAST.STD",
        "model_name": "GLM-5",
    }
    data["weights"] = "input_uncached 1000\noutput_visible 3000\n"
    data["damages_permille"] = "0"
    assert site.operator.post("/admin/exchange/product/add/", **data | {"lot_tokens": "12345"}).status_code == 422
    assert site.operator.post("/admin/exchange/product/add/", **data).status_code == 302
    terms = Product.objects.get(code="GLM-5.CN-EAST.STD").versions.get().terms
    assert terms["weights"] == {"input_uncached": 1000, "output_visible": 3000}
    assert (terms["model"]["name"], terms["damages_permille"], terms["tick_micros"]) == ("GLM-5", 0, 10_000)


def test_a_product_gets_its_next_terms(site: Site) -> None:
    product = Product.objects.get(code=CODE)
    page = f"/admin/exchange/product/{product.pk}/terms/"
    assert page in site.operator.text(f"/admin/exchange/product/{product.pk}/change/")
    form = site.operator.text(page)
    assert not re.search(r'name="(model_name|region|tick|lot_tokens|currency)"', form)
    data = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
    data |= {"damages_permille": "900", "reason": "Probes fail.", "weights": "input_uncached 1000\noutput_visible 5000"}
    for visitor in (site.provider, site.buyer, site.auditor):
        assert visitor.post(page, **data).status_code == 403
    assert site.operator.post(page, **data | {"reason": ""}).status_code == 422
    assert site.operator.post(page, **data | {"damages_permille": "many"}).status_code == 422
    assert product.versions.count() == 1
    assert site.operator.post(page, **data).status_code == 302
    first, second = product.versions.order_by("version")
    changed = {"damages_permille": 900, "weights": {"input_uncached": 1000, "output_visible": 5000}}
    assert second.terms == first.terms | changed
    assert second.created_by == "user:olga"
    again = site.second_operator.post(page, **data | {"damages_permille": "100"})  # from the page as it was before
    assert again.status_code == 422
    assert "The terms are at version 2 by now" in again.content.decode()


def test_qualifications_and_meters(site: Site) -> None:
    provider = site.day.parties["provider-1"]
    data = {
        "provider_id": provider.pk,
        "product_code": CODE,
        "endpoint_url": "https://p1.example/v1",
        "model_name": "qwen",
        "access_words": "By mail.",
        "entitlement_attested_by": "counsel",
        "valid_from": "2026-12-01T00:00",
        "valid_until": "2026-11-01T00:00",
    }
    assert site.operator.post("/admin/exchange/qualification/add/", **data).status_code == 422
    data["valid_until"] = "2027-12-01T00:00"
    assert site.operator.post("/admin/exchange/qualification/add/", **data).status_code == 302
    latest = Qualification.objects.latest("id")
    assert (latest.access, latest.endpoint_url) == ("By mail.", "https://p1.example/v1")
    revoke = f"/admin/exchange/qualification/{latest.pk}/revoke/"
    assert site.provider.post(revoke, reason="no").status_code == 403
    assert site.operator.post(revoke, reason="It answers with another model.").status_code == 302
    meter = {"party": site.day.parties["house"].pk, "code": "gateway/1"}
    assert site.operator.post("/admin/settlement/meter/add/", **meter).status_code == 302
    assert Meter.objects.get(code="gateway/1").side == "gateway"
