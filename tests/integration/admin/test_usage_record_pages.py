"""Usage records, what was kept aside and calls, as people see them."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta

import pytest

from config.clock import SimulatedClock
from settlement.commands.register_meter_key import RegisterMeterKey, register_meter_key
from settlement.metering.signed_calls import find_signer, keep_signed
from settlement.metering.verify_call import verify_call
from settlement.models import Meter, UsageBatch
from tests.integration.admin.conftest import Site
from tests.integration.settlement.test_signed_calls import BODY, PATH, PUBLIC, headers
from tests.integration.settlement.trading_day import ACTOR, END, NOW, START, SYMBOL, usage


def at(site: Site, moment: object) -> None:
    site.day.clock.at = moment  # type: ignore[assignment]
    SimulatedClock().set(moment)  # type: ignore[arg-type]


@pytest.fixture
def told(site: Site) -> Site:
    """Both sides have reported, one of the events cannot be read, one id came twice."""
    at(site, START + timedelta(minutes=1))
    provider = [usage("r1", 1_000), usage("q1", 5, family="nobody_knows"), usage("r1", 2_000)]
    site.day.report("provider-1", provider)
    site.day.report("buyer-1", [usage("b1", 1_000) | {"source": "meter/buyer-1"}])
    return site


def sign_last_call(site: Site) -> int:
    """Make the provider's call a signed one, as intake keeps it; its number."""
    register_meter_key(RegisterMeterKey(Meter.objects.get(code="meter/provider-1").pk, PUBLIC), actor=ACTOR, now=NOW)
    now, party = site.day.clock.at, site.day.parties["provider-1"].id
    signed = headers(created=int(now.timestamp()))
    signer = find_signer(signed, path=PATH, body=BODY, party_id=party, now=now)
    assert signer is not None
    call = UsageBatch.objects.get(party_id=party).pk
    keep_signed(call, signer, path=PATH, headers=signed, body=BODY)
    return call


def test_records_show_the_other_side_after_delivery(told: Site) -> None:
    page = f"/usage/records/?contract={SYMBOL}"
    assert "Choose a contract" in told.provider.text("/usage/records/")
    own = told.provider.text(page)
    assert "meter/provider-1" in own
    assert "meter/buyer-1" not in own
    assert "nobody_knows" not in own  # the reason is shown, not the family
    assert "unknown_family" in own
    at(told, END)
    assert "meter/buyer-1" in told.provider.text(page)
    assert "b1" not in told.provider.text(f"{page}&request_id=r1").partition("<tbody>")[2]
    assert "no record" in told.other_provider.text(page)
    assert "meter/buyer-1" in told.provider.text(f"{page}&buyer=buyer-1&provider=provider-1")
    for pair in ("buyer=buyer-2", "provider=provider-2", "buyer=nobody"):
        assert "no record" in told.provider.text(f"{page}&{pair}")
    for visitor in (told.auditor, told.operator):
        assert "meter/buyer-1" in visitor.text(page)


def test_what_was_kept_aside_is_shown_with_its_reason_and_what_came_twice_too(told: Site) -> None:
    text = told.provider.text("/usage/quarantine/")
    assert "unknown_family" in text
    assert "The usage family is not known." in text
    assert f"?contract={SYMBOL.replace('@', '%40')}" in text
    assert "The latest 1." in text
    buyer = told.buyer.text("/usage/quarantine/")
    assert "Nothing is kept aside." in buyer
    assert "No id has come twice" in buyer
    assert "unknown_family" in told.auditor.text("/usage/quarantine/?meter=meter/provider-1")
    assert "Nothing is kept aside." in told.auditor.text("/usage/quarantine/?meter=meter/buyer-1")


def test_a_signed_call_is_checked_and_its_evidence_downloaded(told: Site) -> None:
    call = sign_last_call(told)
    text = told.provider.text(f"/usage/calls/{call}/")
    assert ">verified<" in text
    assert "2 events, signed" in text
    assert f"/usage/calls/{call}/" in told.provider.text("/usage/calls/")
    file = told.provider.get(f"/usage/calls/{call}/evidence")
    assert file["Content-Disposition"] == f'attachment; filename="usage-call-{call}.json"'
    assert verify_call(file.content).body == gzip.decompress(BODY)
    assert json.loads(file.content)["meter"] == "meter/provider-1"
    assert ">verified<" in told.auditor.text(f"/usage/calls/{call}/")


def test_a_call_is_its_own_partys_affair(told: Site) -> None:
    call = UsageBatch.objects.get(party_id=told.day.parties["provider-1"].id).pk
    assert "was not signed" in told.provider.text(f"/usage/calls/{call}/")
    assert told.provider.get(f"/usage/calls/{call}/evidence").status_code == 404
    for visitor in (told.buyer, told.other_provider):
        assert visitor.get(f"/usage/calls/{call}/").status_code == 404
        assert visitor.get(f"/usage/calls/{call}/evidence").status_code == 404
        assert f"/usage/calls/{call}/" not in visitor.text("/usage/calls/")
    at(told, END)
    shown = told.buyer.text(f"/usage/records/?contract={SYMBOL}")
    assert "meter/provider-1" in shown
    assert f"/usage/calls/{call}/" not in shown  # the record is the buyer's to see, the call is not


@pytest.mark.parametrize("page", ["records/", "quarantine/", "calls/", "calls/1/", "calls/1/evidence"])
def test_the_pages_are_for_members_only(site: Site, page: str) -> None:
    assert site.outsider.get(f"/usage/{page}").status_code == 403
    assert site.nobody.get(f"/usage/{page}").status_code == 302


def test_pages_go_on_where_the_last_ended_and_take_any_text(told: Site) -> None:
    told.day.report("provider-1", [usage(f"m{number}", 5) for number in range(60)])
    first = told.provider.text(f"/usage/records/?contract={SYMBOL}")
    assert first.count("<tr>") == 51
    before = first.partition("before=")[2].partition('"')[0]
    rest = told.provider.text(f"/usage/records/?contract={SYMBOL}&before={before}")
    assert rest.count("<tr>") == 1 + 12
    for odd in ("%00", "%ff", "x" * 500, "' OR 1=1"):
        assert told.provider.get(f"/usage/records/?contract={odd}&meter={odd}&request_id={odd}").status_code == 200
        assert told.provider.get(f"/usage/quarantine/?meter={odd}&before={odd}").status_code == 200
