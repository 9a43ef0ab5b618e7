"""The admin's lists in a window of 1280 pixels: the usual ones fit, and what does not is reached by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import Model
from django.urls import reverse
from playwright.sync_api import Page

from exchange.commands.post_offer import PostOffer, post_offer
from exchange.commands.request_decision import RequestDecision, request_decision
from exchange.commands.set_fee_schedule import SetFeeSchedule, set_fee_schedule
from exchange.commands.set_listing_rule import SetListingRule, set_listing_rule
from exchange.commands.set_trade_group import SetTradeGroup, set_trade_group
from exchange.fee_schedule import Basis, FeeSchedule, Rates, Tier
from exchange.models import (
    Contract,
    DecisionKind,
    Fill,
    Intake,
    IntakeKind,
    ListingRule,
    Offer,
    OperatorDecision,
    Order,
    PreventedMatch,
    Product,
    SetAside,
)
from exchange.sequencer.intake import Submission, submit_all
from exchange.sequencer.loop import drain
from ledger.models import Account, ActionLog, ApiKey, MembershipRole, Party, Transaction, Transfer
from ledger.parties.commands import add_member
from ledger.parties.keys import Scope, issue_key
from tests.integration.admin.conftest import Site, settled, site, web  # noqa: F401  # fixtures
from tests.integration.settlement.trading_day import ACTOR, CODE, HOUR, NOW, START, SYMBOL
from tests.web.browser import CHROMIUM, NO_CHROMIUM, browser_page, web_server

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)

PASSWORD = "long enough for tests"
DAY = timedelta(days=1)
USUAL = (
    Account, ActionLog, ApiKey, Contract, Fill, Intake, ListingRule, Offer, OperatorDecision, Order, Party,
    PreventedMatch, Product, SetAside, Transaction, Transfer,
)  # fmt: skip
WIDTH = """
(list) => {
    const region = list.closest(".simplebar-content-wrapper");
    return [region.scrollWidth, region.clientWidth, document.documentElement.scrollWidth];
}
"""


@contextmanager
def window(party: Party, role: MembershipRole, complaints: list[str]) -> Iterator[tuple[str, Page]]:
    """A browser of 1280 pixels, in which a person with this role is logged in; with the address of the site."""
    add_member("opal", PASSWORD, party, role, actor=ACTOR, now=NOW)
    with web_server() as address, browser_page(complaints) as page:
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(f"{address}/admin/login/")
        page.get_by_label("Username").fill("opal")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{address}/admin/")
        yield address, page


def list_page(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def too_wide(page: Page, address: str) -> int | None:
    """By how many pixels the list at an address is wider than its place; None when it is empty."""
    page.goto(address)
    table = page.locator("#result_list")
    if not table.count():
        return None
    wanted, shown, whole = table.evaluate(WIDTH)
    assert whole == 1280, address  # the page itself never scrolls
    return int(wanted - shown)


def fill_every_list(site: Site) -> None:  # noqa: F811
    """Something in each list that a settled day leaves empty, with names as people give them."""
    parties = site.day.parties
    for code, name in (("buyer-1", "Harbour Analytics Limited"), ("provider-1", "Northern Light Computing GmbH")):
        Party.objects.filter(code=code).update(name=name)
    issue_key(parties["buyer-1"], "order desk in Rotterdam", [Scope.READ, Scope.TRADE], actor=ACTOR, now=NOW)
    set_trade_group(SetTradeGroup("buyer-1", "provider-1", "One owner."), actor=ACTOR, now=NOW)
    rates = Rates(500_000, 1_000_000)
    schedule = FeeSchedule(Basis.CONTRACT, (Tier(0, rates, rates),))
    now = site.day.clock.now()
    set_fee_schedule(SetFeeSchedule("CNY", CODE, schedule, now, "The first."), actor=ACTOR, now=now)
    rule = SetListingRule(CODE, HOUR, 3, 3 * HOUR, 600, 420, True, 500, 2_000, 100)
    set_listing_rule(rule, actor=ACTOR, now=now)


def submit_odd_orders(site: Site) -> None:  # noqa: F811
    """One that is prevented, and one that cannot be processed."""
    contract, (buyer, seller) = (
        Contract.objects.get(symbol=SYMBOL),
        map(site.day.parties.get, ("buyer-1", "provider-1")),
    )
    assert buyer is not None
    assert seller is not None
    group: dict[str, Any] = {
        "group_id": buyer.id,
        "time_in_force": "gtc",
        "overage_permille": 0,
        "lots": 1,
        "price_ticks": 410,
    }
    orders = [(seller, group | {"side": "sell"}), (buyer, group | {"side": "buy"}), (buyer, {"side": "up"})]
    submit_all(
        [Submission(IntakeKind.PLACE_ORDER, contract.id, ACTOR, payload, party.id) for party, payload in orders],
        now=NOW,
    )
    drain(site.day.clock)
    wanted = RequestDecision(DecisionKind.BUST_FILL, "1", "The price was typed with the wrong decimal point.")
    request_decision(wanted, actor="user:olga", now=NOW)


@pytest.fixture
def odd(site: Site, request: pytest.FixtureRequest) -> Site:  # noqa: F811
    """A settled market in which every kind of thing has happened."""
    submit_odd_orders(site)
    whole: Site = request.getfixturevalue("settled")
    fill_every_list(whole)
    return whole


def test_an_operators_lists_fit(odd: Site) -> None:
    complaints: list[str] = []
    with window(odd.day.parties["house"], MembershipRole.OPERATOR, complaints) as (address, page):
        found = {model: too_wide(page, f"{address}{list_page(model)}") for model in admin.site._registry}
    assert not {model.__name__: pixels for model, pixels in found.items() if pixels}
    assert not [model.__name__ for model in USUAL if found[model] is None]
    assert not complaints


def test_a_providers_lists_fit(site: Site) -> None:  # noqa: F811
    provider, complaints = site.day.parties["provider-1"], list[str]()
    curve = tuple(390 if hour < 8 else 421 if hour < 20 else None for hour in range(24))
    wanted = PostOffer(provider.id, CODE, HOUR, START + 2 * DAY, START + 9 * DAY, 1, curve, frozenset({0, 2, 4}))
    post_offer(wanted, actor=ACTOR, now=NOW)
    with window(provider, MembershipRole.PROVIDER_STAFF, complaints) as (address, page):
        for model in (Offer, Order, Account, Transfer):
            assert too_wide(page, f"{address}{list_page(model)}") == 0, model
        page.goto(f"{address}{list_page(Offer)}")
        for step in ("Reprice", "Pause", "Withdraw"):
            assert page.get_by_role("link", name=f"{step} offer").first.is_visible()
    assert not complaints


def test_a_list_that_does_not_fit_is_moved_by_keyboard(site: Site) -> None:  # noqa: F811
    complaints: list[str] = []
    with window(site.day.parties["house"], MembershipRole.OPERATOR, complaints) as (address, page):
        page.goto(f"{address}{list_page(Order)}")
        page.evaluate("document.documentElement.style.fontSize = '28px'")  # as somebody may need it
        region = page.get_by_role("region", name="Orders")
        assert region.evaluate("(region) => region.scrollWidth - region.clientWidth") > 40
        region.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("(region) => region.scrollLeft > 0", arg=region.element_handle())
    assert not complaints
