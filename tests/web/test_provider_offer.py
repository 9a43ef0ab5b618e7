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

        page.get_by_label("Last window").select_option(index=1)
        page.get_by_label("Lots in each window").fill("12")
        page.keyboard.press("Tab")
        page.keyboard.type("4.21")
        plan = page.locator("#offer-result")
        plan.get_by_text("10.104").wait_for()  # 2 windows x 12 lots x 0.421: told before anything is posted
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
