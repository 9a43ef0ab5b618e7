"""What a provider does in the admin: declare capacity, post an offer, withdraw it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse

from exchange.models import CapacityDeclaration, Intake, Offer, Order
from exchange.models import Site as SiteRow
from exchange.sequencer.loop import drain
from ledger.models import ActionLog
from settlement.models import ShareSchedule
from tests.integration.admin.conftest import Site
from tests.integration.settlement.trading_day import CODE, HOUR, START

OFFER, CAPACITY = "/admin/exchange/offer/add/", "/admin/exchange/capacitydeclaration/add/"


def offer_data(site: Site, /, **changes: Any) -> dict[str, Any]:
    """A good offer as the form sends it, before it was seen what it comes to."""
    form = site.provider.text(OFFER)
    submission = re.search(r'name="submission" value="(\w+)"', form)
    assert submission is not None
    provider = site.day.parties["provider-1"]
    days = {f"day_{day}": "on" for day in range(7)}
    return {
        "submission": submission[1],
        "series": f"{provider.pk}/{CODE}/{HOUR}",
        "first": f"{START:%Y-%m-%dT%H:%M}",
        "until": f"{START + timedelta(hours=1):%Y-%m-%dT%H:%M}",
        "lots": "7",
        "price": "4.4",
        **days,
    } | changes


def confirmed(page: str) -> dict[str, str]:
    """What a page that showed what a form comes to sends along with it."""
    seen = re.search(r'name="confirmed" value="(\w+)"', page)
    assert seen is not None
    return {"confirmed": seen[1]}


def post_seen(site: Site, url: str, data: dict[str, Any]) -> HttpResponse:
    """Send a form, look at what it comes to, and send it again."""
    first = site.provider.post(url, **data)
    assert first.status_code == 200
    return site.provider.post(url, **data | confirmed(first.content.decode()))


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
    site.day.list_window(START + timedelta(hours=1))
    site.day.sweep_contracts()
    response = post_seen(site, OFFER, offer_data(site, until=f"{START + timedelta(hours=2):%Y-%m-%dT%H:%M}"))
    offer = Offer.objects.latest("id")
    assert response.headers["Location"] == f"/admin/exchange/offer/{offer.pk}/change/"
    assert (offer.lots, offer.price_ticks, offer.created_by) == (7, 440, "user:pia")
    page = site.provider.text(response.headers["Location"])
    assert page.count(">pending<") == 2
    drain(site.day.clock)
    orders = Order.objects.filter(offer_id=offer.pk)
    assert [(order.lots, order.price_ticks, order.status) for order in orders] == [(7, 440, "open")] * 2
    assert site.provider.text(response.headers["Location"]).count(">open<") == 3  # the offer and both windows
    assert ActionLog.objects.filter(actor="user:pia", action="post_offer").exists()


def test_nothing_is_posted_that_was_not_seen(site: Site) -> None:
    data = offer_data(site)
    before = Offer.objects.count()
    page = site.provider.post(OFFER, **data).content.decode()
    assert "Nothing is sent yet" in page
    assert "What will be placed" in page
    other = site.provider.post(OFFER, **data | confirmed(page) | {"price": "4.5"})
    assert "Nothing is sent yet" in other.content.decode()
    assert Offer.objects.count() == before
    assert site.provider.post(OFFER, **data | confirmed(page)).status_code == 302


def test_a_week_on_some_days_and_hours_is_one_form(site: Site) -> None:
    """Tuesday to the next one; the hours of the weekend and of the night are not offered."""
    data = offer_data(site, until="2026-12-08T14:00", price="08-16: 4.2, 16-20: 4.4", lots="3")
    page = post_seen(site, OFFER, {key: value for key, value in data.items() if key not in ("day_5", "day_6")})
    offer = Offer.objects.latest("id")
    assert (offer.weekdays, offer.last_delivery.isoformat()) == (0b11111, "2026-12-08T13:00:00+00:00")
    assert offer.hourly_ticks == [None] * 8 + [420] * 8 + [440] * 4 + [None] * 4
    shown = site.provider.text(page.headers["Location"])
    assert "08-16: 4.20, 16-20: 4.40" in shown
    assert "Mon–Fri" in shown
    assert "59 more windows are not listed yet" in shown  # 5 days of 12 hours, less the one that is listed
    row = site.provider.text("/admin/exchange/offer/")
    assert f'aria-label="Pause offer {offer.pk}"' in row


def test_the_same_form_sent_twice_posts_once(site: Site) -> None:
    data = offer_data(site)
    data |= confirmed(site.provider.post(OFFER, **data).content.decode())
    before = Offer.objects.count()
    first, second = site.provider.post(OFFER, **data), site.provider.post(OFFER, **data)
    assert first.headers["Location"] == second.headers["Location"]
    assert Offer.objects.count() == before + 1
    other = post_seen(
        site, OFFER, {name: value for name, value in (data | {"lots": "8"}).items() if name != "confirmed"}
    )
    assert "used before with another lots" in other.content.decode()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"price": "4.405"}, "is not a multiple of the tick"),
        ({"price": "11"}, "is outside the contract&#x27;s band"),
        ({"price": "four"}, "must be a decimal string"),
        ({"price": "08-20: 4.2, 19-21: 4.3"}, "There are two prices for 19:00"),
        ({"price": "1 2 3"}, "is not a price such as"),
        ({"lots": "0"}, "greater than or equal to 1"),
        ({"lots": "1.5"}, "Enter a whole number"),
        ({"lots": str(2**53)}, "less than or equal to"),
        ({"lots": ""}, "This field is required"),
        ({"first": "2026-12-24T14:00"}, "No whole window lies in this range"),
        ({"first": "tomorrow"}, "Enter a valid date/time"),
        ({f"day_{day}": "" for day in range(7)}, "names at least one day of the week"),
        ({"day_1": ""}, "No window of the range is on these weekdays"),  # it is a Tuesday
    ],
)
def test_a_bad_offer_is_refused_in_words_and_changes_nothing(site: Site, changes: dict[str, str], message: str) -> None:
    before = Offer.objects.count(), Intake.objects.count()
    data = offer_data(site, **changes)
    response = site.provider.post(OFFER, **data)
    if response.status_code == 200:  # it looked possible
        response = site.provider.post(OFFER, **data | confirmed(response.content.decode()))
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


def test_an_offer_is_paused_resumed_repriced_and_withdrawn(site: Site) -> None:
    offer = Offer.objects.get(provider=site.day.parties["provider-1"])
    page = f"/admin/exchange/offer/{offer.pk}"

    def step(name: str) -> tuple[str, str, int, int]:
        """What is left of the offer after a step: its state, and its latest order."""
        assert site.provider.post(f"{page}/{name}/").status_code == 302
        drain(site.day.clock)
        order = Order.objects.filter(offer_id=offer.pk).latest("id")
        return Offer.objects.get(pk=offer.pk).state, order.status, order.remaining_lots, order.price_ticks

    assert step("pause") == ("paused", "cancelled", 2, 420)
    assert "is paused" in site.provider.post(f"{page}/pause/").content.decode()
    assert "Resume" in site.provider.text(f"{page}/change/")
    assert step("resume") == ("open", "open", 2, 420)
    form = site.provider.text(f"{page}/reprice/")
    assert 'value="4.20"' in form
    response = post_seen(site, f"{page}/reprice/", {"lots": "9", "price": "4.5"})
    assert response.status_code == 302
    drain(site.day.clock)
    order = Order.objects.filter(offer_id=offer.pk).latest("id")
    assert (order.status, order.remaining_lots, order.price_ticks) == ("open", 3, 450)  # 6 of the 9 are sold
    assert site.provider.post(f"{page}/reprice/", lots="9", price="11").status_code == 422
    assert step("withdraw") == ("withdrawn", "cancelled", 3, 450)
    assert "is withdrawn already" in site.provider.post(f"{page}/withdraw/").content.decode()
    assert "Pause" not in site.provider.text(f"{page}/change/")
    for name in ("pause", "resume", "reprice", "withdraw"):
        for visitor in (site.other_provider, site.operator, site.auditor):
            assert visitor.post(f"{page}/{name}/").status_code in (403, 404)


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
        ({"percent_1": "40", "pair_1": f"{CODE}/900"}, "1025000 parts per million of the site"),
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
