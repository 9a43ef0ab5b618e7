"""A provider's day in a real browser: log in, post an offer with the keyboard, see it in the book, withdraw it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import override_settings

from config.clock import SimulatedClock
from ledger.clock import get_clock
from ledger.models import MembershipRole
from ledger.parties.commands import add_member
from tests.api.live_market import LiveMarket, running_sequencer
from tests.conftest import DatabaseUrls
from tests.integration.exchange.market import ACTOR, NOW, START, SYMBOL
from tests.web.browser import CHROMIUM, NO_CHROMIUM, browser_page, web_server

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)

PASSWORD = "long enough for tests"


@pytest.fixture
def live(database: DatabaseUrls) -> Iterator[LiveMarket]:
    """A market that trades while the simulated clock stands, and a provider's employee."""
    with override_settings(CLOCK="config.clock.SimulatedClock"):
        get_clock.cache_clear()
        SimulatedClock().set(NOW)
        with running_sequencer():
            market = LiveMarket()
            for hours in (1, 2):
                market.list_window(START + timedelta(hours=hours))
            market.sweep()
            add_member("pia", PASSWORD, market.provider, MembershipRole.PROVIDER_STAFF, actor=ACTOR, now=NOW)
            yield market
    get_clock.cache_clear()


def test_a_provider_posts_an_offer_and_sees_it_in_the_book(live: LiveMarket) -> None:
    complaints: list[str] = []
    with web_server() as address, browser_page(complaints) as page:
        book = f"{address}/contracts/{SYMBOL}/"
        page.goto(book)
        assert page.get_by_text("Nobody bids or asks at the moment.").is_visible()

        page.get_by_role("link", name="Log in").click()
        page.get_by_label("Username").fill("pia")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_role("link", name="Post an offer").first.click()

        page.get_by_label("Until").fill(f"{START + timedelta(hours=2):%Y-%m-%dT%H:%M}")
        page.get_by_label("Lots in each window").fill("12")
        page.keyboard.press("Tab")
        page.keyboard.type("4.21")
        preview = page.locator("#offer-result")
        preview.get_by_text("10.104").wait_for()  # 2 windows x 12 lots x 0.421: told before anything is posted
        assert preview.locator("tbody tr").count() == 2
        page.keyboard.press("Enter")

        page.wait_for_url(re.compile(r"/admin/exchange/offer/\d+/change/"))
        page.locator("tbody .state.open").nth(1).wait_for()  # both windows, once the sequencer has decided

        page.goto(book)
        ask = page.locator(".asks tr")
        assert ask.locator("td").nth(0).inner_text() == "4.21"
        assert ask.locator("td").nth(1).inner_text() == "12"
        assert page.get_by_role("img", name="Depth of the book: 12 lots asked, best at 4.21.").is_visible()

        page.go_back()
        page.get_by_role("link", name="Withdraw").click()
        page.get_by_role("button", name="Withdraw the offer").click()
        page.locator("tbody .state.cancelled").nth(1).wait_for()
        page.goto(book)
        assert page.get_by_text("Nobody bids or asks at the moment.").is_visible()
    assert not complaints


def test_a_week_of_offers_takes_one_form_and_the_keyboard(live: LiveMarket) -> None:
    """Weekdays and hours are chosen, what it comes to is seen, and the offer is paused, repriced and resumed."""
    complaints: list[str] = []
    with web_server() as address, browser_page(complaints) as page:
        page.goto(f"{address}/admin/login/?next=/admin/exchange/offer/add/")
        page.get_by_label("Username").fill("pia")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_role("link", name="7 days").press("Enter")
        page.wait_for_function("document.querySelector('#id_until').value.startsWith('2026-12-08')")
        page.get_by_label("Sat", exact=True).press("Space")
        page.get_by_label("Sun", exact=True).press("Space")
        page.get_by_label("Lots in each window").fill("12")
        price = page.get_by_label("Price per million contract tokens")
        price.evaluate("field => field.value = '08-15: 4.21, 15-20: 4.40'")  # and sent before any preview of it
        price.press("Enter")
        page.get_by_text("Nothing is sent yet").wait_for()
        assert page.get_by_text(
            "57 when they are listed"
        ).is_visible()  # 5 days of 12 hours, less the 3 that are listed
        page.wait_for_function("document.activeElement.type == 'submit'")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"/admin/exchange/offer/\d+/change/"))
        page.locator("tbody .state.open").nth(2).wait_for()
        prices = [page.locator("tbody tr").nth(row).locator("td").nth(2).inner_text() for row in range(3)]
        assert prices == ["4.21", "4.40", "4.40"]

        page.get_by_role("link", name="Pause").press("Enter")
        page.get_by_role("button", name="Pause the offer").press("Enter")
        page.locator("tbody .state.cancelled").nth(2).wait_for()
        page.goto(f"{address}/admin/exchange/offer/")
        page.get_by_role("link", name=re.compile("Reprice offer")).press("Enter")
        page.get_by_label("Price per million contract tokens").fill("08-15: 4.3")
        page.locator("#offer-result tbody tr").first.wait_for()
        page.wait_for_function("document.querySelectorAll('#offer-result tbody tr').length == 1")
        page.get_by_label("Price per million contract tokens").press("Enter")
        page.get_by_role("link", name="Resume").press("Enter")
        page.get_by_role("button", name="Resume the offer").press("Enter")
        page.locator("tbody .state.open").first.wait_for()
        page.goto(f"{address}/contracts/{SYMBOL}/")
        assert page.locator(".asks tr").locator("td").nth(0).inner_text() == "4.30"
    assert not complaints


def test_the_market_page_works_without_javascript(live: LiveMarket) -> None:
    live.offer(5, 421)
    with web_server() as address, browser_page([]) as page:
        browser = page.context.browser
        assert browser is not None
        plain = browser.new_context(java_script_enabled=False).new_page()
        plain.goto(address)
        assert plain.locator("td.ask").first.inner_text() == "4.21"
        assert "13:30 UTC" in plain.locator("time[data-countdown]").first.inner_text()
        page.goto(address)
        page.wait_for_function(
            "/^\\d\\d:\\d\\d:\\d\\d$/.test(document.querySelector('time[data-countdown]').textContent)"
        )
