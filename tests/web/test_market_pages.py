"""The public market in a real browser: candles, depth, trades and curve, by keyboard, from this server alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.test import override_settings
from playwright.sync_api import Page

from config.clock import SimulatedClock
from ledger.clock import get_clock
from tests.api.live_market import LiveMarket, order, running_sequencer
from tests.conftest import DatabaseUrls
from tests.integration.exchange.market import CODE, NOW, START, SYMBOL
from tests.web.browser import CHROMIUM, NO_CHROMIUM, browser_page, web_server

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)

PRICES = ("4.00", "4.10", "4.05", "4.20", "4.15", "4.30", "4.10")


@pytest.fixture
def live(database: DatabaseUrls) -> Iterator[LiveMarket]:
    """A market with trades over half an hour, and three windows asked at different prices."""
    with override_settings(CLOCK="config.clock.SimulatedClock"):
        get_clock.cache_clear()
        SimulatedClock().set(NOW)
        with running_sequencer():
            market = LiveMarket()
            for hours in (1, 2):
                market.list_window(START + timedelta(hours=hours))
            market.sweep()
            buyer = market.buyer("buyer-1")
            for number, price in enumerate(PRICES):
                market.clock.at = NOW + timedelta(minutes=4 * number)
                market.offer(2, int(price.replace(".", "")))
                buyer.post("orders", order(f"o-{number}", price=price, lots="2")).ok(201)
            for hours, ticks in ((0, 440), (0, 460), (1, 450), (2, 430)):
                market.offer(6, ticks, START + timedelta(hours=hours))
            buyer.post("orders", order("bid", price="3.90", lots="4")).ok(201)
            yield market
    get_clock.cache_clear()


def only_from(page: Page, address: str) -> list[str]:
    """Collects the addresses that a page loads from anywhere else."""
    foreign: list[str] = []
    host = urlsplit(address).netloc
    page.on("request", lambda asked: foreign.append(asked.url) if urlsplit(asked.url).netloc != host else None)
    return foreign


def test_a_contracts_candles_are_seen_read_and_chosen_by_keyboard(live: LiveMarket) -> None:
    complaints: list[str] = []
    with web_server() as address, browser_page(complaints) as page:
        foreign = only_from(page, address)
        page.goto(f"{address}/contracts/{SYMBOL}/")
        candles = page.get_by_role("region", name="Candles")
        drawing = candles.get_by_role("img")
        assert drawing.get_attribute("aria-label") == (
            "5 candles from 10:00 to 10:20: opened at 4.00, highest 4.30, lowest 4.00, last 4.10."
        )
        assert page.get_by_role("region", name="Depth").get_by_role("img").is_visible()
        assert page.get_by_role("region", name="Trades").get_by_role("row").count() == 1 + len(PRICES)
        assert page.get_by_text("4.00–4.30").is_visible()

        page.locator("#interval-5m").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**?interval=1h")
        assert page.locator("#interval-1h").get_attribute("aria-current") == "true"
        page.locator("#candles-as").press("Enter")
        page.wait_for_url("**&candles=table")
        table = candles.get_by_role("table")
        assert table.get_by_role("row").nth(1).inner_text().split("\t")[1:] == [
            "4.00",
            "4.30",
            "4.00",
            "4.10",
            "14",
            "7",
        ]

        page.locator("#candles-as").focus()
        with page.expect_response(lambda answer: "candles=table" in answer.url):
            live.offer(1, 435)
        page.get_by_role("region", name="Book").get_by_text("4.35").wait_for()  # the page has been exchanged,
        assert page.evaluate("document.activeElement.id") == "candles-as"  # and the keyboard is where it was
        assert foreign == []
    assert complaints == []


def test_a_products_curve_prices_a_quantity_over_its_windows(live: LiveMarket) -> None:
    complaints: list[str] = []
    with web_server() as address, browser_page(complaints) as page:
        foreign = only_from(page, address)
        page.goto(f"{address}/products/{CODE}/")
        curve = page.get_by_role("region", name="Price by delivery window")
        assert curve.get_by_role("img").get_attribute("aria-label") == (
            "Best bid, best ask and last price of 3 delivery windows."
        )
        curve.get_by_role("link", name="10 lots").press("Enter")
        page.wait_for_url("**lots=10")
        rows = curve.get_by_role("table").get_by_role("row")
        assert rows.nth(1).inner_text().split("\t")[1:] == ["3.90", "4.40", "12", "4.480000", "4.60", "4.480000"]
        assert rows.nth(2).inner_text().endswith("fewer are asked")
        page.goto(f"{address}/products/{CODE}/?window=nonsense&lots=-1")
        assert curve.get_by_role("link", name="1 lot", exact=True).get_attribute("aria-current") == "true"
        assert foreign == []
    assert complaints == []
