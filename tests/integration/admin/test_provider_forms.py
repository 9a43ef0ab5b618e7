"""What a provider does in the admin: declare capacity, post an offer, withdraw it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from exchange.models import CapacityDeclaration, Intake, Offer, OfferState, Order
from exchange.models import Site as SiteRow
from exchange.sequencer.loop import drain
from ledger.models import ActionLog
from settlement.models import ShareSchedule
from tests.integration.admin.conftest import Site
from tests.integration.settlement.trading_day import CODE, HOUR, START

OFFER, CAPACITY = "/admin/exchange/offer/add/", "/admin/exchange/capacitydeclaration/add/"


def offer_data(site: Site, /, **changes: Any) -> dict[str, Any]:
    """A good offer as the form sends it."""
    form = site.provider.text(OFFER)
    submission = re.search(r'name="submission" value="(\w+)"', form)
    assert submission is not None
    provider = site.day.parties["provider-1"]
    return {
        "submission": submission[1],
        "series": f"{provider.pk}/{CODE}/{HOUR}",
        "first": START.isoformat(),
        "last": START.isoformat(),
        "lots": "7",
        "price": "4.4",
    } | changes


def capacity_data(site: Site, /, **changes: Any) -> dict[str, Any]:
    """A good declaration as the form sends it."""
    row = SiteRow.objects.get(provider=site.day.parties["provider-1"])
    return {
        "site": row.pk,
        "basis": "tokens",
        "tokens_per_s": "2000",
        "pair_0": f"{CODE}/{HOUR}",
        "percent_0": "62.5",
    } | changes


def test_an_offer_over_two_windows_gets_two_orders(site: Site) -> None:
    later = START + timedelta(hours=1)
    site.day.list_window(later)
    site.day.sweep_contracts()
    response = site.provider.post(OFFER, **offer_data(site, last=later.isoformat()))
    offer = Offer.objects.latest("id")
    assert response.headers["Location"] == f"/admin/exchange/offer/{offer.pk}/change/"
    assert (offer.lots, offer.price_ticks, offer.created_by) == (7, 440, "user:pia")
    page = site.provider.text(response.headers["Location"])
    assert page.count(">pending<") == 2
    drain(site.day.clock)
    orders = Order.objects.filter(offer_id=offer.pk)
    assert [(order.lots, order.price_ticks, order.status) for order in orders] == [(7, 440, "open")] * 2
    assert "14 lots" not in page
    assert site.provider.text(response.headers["Location"]).count(">open<") == 3  # the offer and both windows
    assert ActionLog.objects.filter(actor="user:pia", action="post_offer").exists()


def test_the_same_form_sent_twice_posts_once(site: Site) -> None:
    data = offer_data(site)
    before = Offer.objects.count()
    first, second = site.provider.post(OFFER, **data), site.provider.post(OFFER, **data)
    assert first.headers["Location"] == second.headers["Location"]
    assert Offer.objects.count() == before + 1
    assert "used before with another lots" in site.provider.post(OFFER, **data | {"lots": "8"}).content.decode()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"price": "4.405"}, "is not a multiple of the tick"),
        ({"price": "11"}, "is outside the contract&#x27;s band"),
        ({"price": "four"}, "must be a decimal string"),
        ({"lots": "0"}, "greater than or equal to 1"),
        ({"lots": "1.5"}, "Enter a whole number"),
        ({"lots": str(2**53)}, "less than or equal to"),
        ({"lots": ""}, "This field is required"),
        ({"first": "2026-12-24T14:00:00+00:00"}, "not one of the available choices"),
    ],
)
def test_a_bad_offer_is_refused_in_words_and_changes_nothing(site: Site, changes: dict[str, str], message: str) -> None:
    before = Offer.objects.count(), Intake.objects.count()
    response = site.provider.post(OFFER, **offer_data(site, **changes))
    assert response.status_code == 422
    assert message in response.content.decode()
    assert (Offer.objects.count(), Intake.objects.count()) == before


def test_an_offer_for_somebody_else_is_not_among_the_choices(site: Site) -> None:
    theirs = f"{site.day.parties['provider-2'].pk}/{CODE}/{HOUR}"
    response = site.provider.post(OFFER, **offer_data(site, series=theirs))
    assert response.status_code == 422
    assert Offer.objects.filter(created_by="user:pia").count() == 0


def test_what_an_offer_would_come_to_is_told_before_it_is_posted(site: Site) -> None:
    data = {**offer_data(site, lots="400"), "submission": ""}
    page = site.provider.client.get(OFFER, data).content.decode()
    assert "400 <span" in page.replace("  ", " ")
    assert "More than your free capacity in 1 of them" in page
    assert Offer.objects.filter(created_by="user:pia").count() == 0


def test_withdrawing_cancels_what_is_still_open(site: Site) -> None:
    offer = Offer.objects.get(provider=site.day.parties["provider-1"])
    url = f"/admin/exchange/offer/{offer.pk}/withdraw/"
    assert site.other_provider.post(url).status_code == 403
    assert site.operator.post(url).status_code == 403
    assert site.provider.post(url).status_code == 302
    drain(site.day.clock)
    order = Order.objects.get(offer_id=offer.pk)
    assert (order.status, order.lots - order.remaining_lots) == ("cancelled", 6)
    assert Offer.objects.get(pk=offer.pk).state == OfferState.WITHDRAWN
    assert "is withdrawn already" in site.provider.post(url).content.decode()


def test_capacity_in_tokens_with_its_allocations(site: Site) -> None:
    response = site.provider.post(CAPACITY, **capacity_data(site))
    declaration = CapacityDeclaration.objects.latest("id")
    assert response.headers["Location"].endswith(f"/{declaration.pk}/change/")
    assert (declaration.tokens_per_s, declaration.declared_by) == (2000, "user:pia")
    (allocation,) = declaration.allocations.all()
    assert (allocation.product.code, allocation.window_seconds, allocation.ppm) == (CODE, HOUR, 625_000)


def test_capacity_as_power_times_efficiency_times_utilisation(site: Site) -> None:
    power = {"basis": "power", "watts": "900000", "mtokens_per_joule": "2500", "utilisation": "80", "tokens_per_s": ""}
    page = site.provider.client.get(CAPACITY, capacity_data(site, **power)).content.decode()
    assert "1,800,000" in page  # told before it is declared
    assert "62.5 %" in page
    assert "4,050,000,000" in page  # a window's tokens
    site.provider.post(CAPACITY, **capacity_data(site, **power))
    declaration = CapacityDeclaration.objects.latest("id")
    assert declaration.tokens_per_s == 1_800_000
    assert declaration.basis == {"watts": 900_000, "mtokens_per_joule": 2_500, "utilisation_ppm": 800_000}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"percent_1": "40", "pair_1": f"{CODE}/600"}, "1025000 parts per million of the site"),
        ({"percent_1": "10", "pair_1": f"{CODE}/{HOUR}"}, "allocated twice"),
        ({"percent_0": "0.00001"}, "at most four decimals"),
        ({"percent_0": ""}, "needs a product and a percentage"),
        ({"tokens_per_s": ""}, "Fill this in"),
        ({"tokens_per_s": "0"}, "greater than or equal to 1"),
        ({"tokens_per_s": "1"}, "its capacity cannot go down"),
        ({"site": "999"}, "not one of the available choices"),
    ],
)
def test_bad_capacity_is_refused_in_words_and_changes_nothing(
    site: Site, changes: dict[str, str], message: str
) -> None:
    before = CapacityDeclaration.objects.count()
    response = site.provider.post(CAPACITY, **capacity_data(site, **changes))
    assert response.status_code == 422
    assert message in response.content.decode()
    assert CapacityDeclaration.objects.count() == before


def test_a_new_site_leads_to_its_capacity(site: Site) -> None:
    provider = site.day.parties["provider-1"]
    data = {"provider": provider.pk, "name": "second hall", "region": "cn-north"}
    response = site.provider.post("/admin/exchange/site/add/", **data)
    row = SiteRow.objects.get(provider=provider, name="second hall")
    assert response.headers["Location"] == f"{CAPACITY}?site={row.pk}"
    assert "There is a site" in site.provider.post("/admin/exchange/site/add/", **data).content.decode()


def test_a_share_schedule_sums_to_the_whole(site: Site) -> None:
    url = "/admin/settlement/shareschedule/add/"
    data = {
        "provider": site.day.parties["provider-1"].pk,
        "product": CODE,
        "compute_percent": "90",
        "model_percent": "9.5",
        "model_party": "model-lab",
    }
    before = ShareSchedule.objects.count()
    refused = site.provider.post(url, **data)
    assert refused.status_code == 422
    assert "The parts sum to 99.5 %, not to 100 %." in refused.content.decode()
    assert ShareSchedule.objects.count() == before
    assert site.provider.post(url, **data | {"power_percent": "0.5"}).status_code == 302
    latest = ShareSchedule.objects.latest("id")
    assert latest.weights["model"] == {"ppm": 95_000, "party": "model-lab"}
