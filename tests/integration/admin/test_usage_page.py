"""The page with both meters of a contract."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.test import override_settings

from config.clock import SimulatedClock
from ledger.clock import get_clock
from ledger.models import MembershipRole, PartyKind
from ledger.parties.commands import register_party
from settlement.metering.rollups import roll_up
from tests.integration.admin.people import Visitor, anybody, login
from tests.integration.settlement.trading_day import ACTOR, END, NOW, START, SYMBOL, TradingDay
from tests.integration.settlement.usage_calls import Calls

PAGE = "/usage/"


@pytest.fixture
def told(database: object) -> Iterator[TradingDay]:
    """A contract that both meters told of, and the provider says that it was all. Delivery is about to end."""
    with override_settings(CLOCK="config.clock.SimulatedClock"):
        get_clock.cache_clear()
        at(NOW)
        day = TradingDay()
        calls = Calls(day)
        calls.report(
            calls.event("a", output_visible=1_234_567),
            calls.event("b", accepted_at=END - timedelta(minutes=1)),
            calls.event("c", kind="refused", refusal_reason="capacity", millitokens=4_000),
        )
        calls.report(calls.event("x", by="buyer-1"), watermarks=[calls.watermark(["a", "b", "c"])])
        while roll_up(now=START).calls:
            pass
        at(END - timedelta(seconds=1))
        yield day
    get_clock.cache_clear()


def at(moment: datetime) -> None:
    SimulatedClock().set(moment)


def person(day: TradingDay, code: str) -> Visitor:
    role = MembershipRole.BUYER_STAFF if code.startswith("buyer") else MembershipRole.PROVIDER_STAFF
    return login(f"{code}-{MembershipRole(role).value}", day.parties[code], role)


def test_both_meters_are_seen_side_by_side(told: TradingDay) -> None:
    at(END)
    for visitor in (person(told, "buyer-1"), person(told, "provider-1")):
        page = visitor.text(PAGE)
        assert f'<h2 id="minutes">{SYMBOL}</h2>' in page
        row = '<th scope="row">Output visible</th><td class="number">1,234,569</td><td class="number">2</td>'
        assert f'{row}<td class="number">+1,234,567</td>' in page
        assert '<th scope="row">Refused contract tokens</th><td class="number">4</td><td class="number">0</td>' in page
        assert "&amp;buyer=buyer-1&amp;provider=provider-1" in page
        assert "providers&#x27; meters 18, buyers&#x27; 9 in all" in page
        assert page.count('class="candle risen"') == 2
        assert page.count('class="candle fallen"') == 1
        assert '<span class="state complete">complete</span>' in page
        assert "no watermark" in page
        assert f"/usage/records/?contract={SYMBOL.replace('@', '%40')}" in page


def test_while_delivery_goes_on_each_sees_its_own_side(told: TradingDay) -> None:
    page = person(told, "buyer-1").text(f"{PAGE}?contract={SYMBOL}")
    assert "1,234,56" not in page
    assert "meter/provider-1" not in page
    assert '<th scope="row">Output visible</th><td class="number">2</td></tr>' in page


def test_others_see_nothing_of_it_and_the_auditor_all(told: TradingDay) -> None:
    stranger = person(told, "buyer-2")
    empty = stranger.text(PAGE)
    assert "No meter has told anything yet that you may see" in empty
    assert "forward/FORWARD.md" in empty
    page = stranger.text(f"{PAGE}?contract={SYMBOL}")
    assert "provider-1" not in page
    assert "No usage of this contract that you may see" in page
    assert "There is no contract of this name" in stranger.text(f"{PAGE}?contract=NO%00SUCH")
    assert "There is no contract of this name" in stranger.text(f"{PAGE}?contract=NO.SUCH")
    office = register_party("auditors", "Auditors", PartyKind.AUDITOR, actor=ACTOR, now=NOW)
    assert "1,234,569" in login("auditor", office, MembershipRole.AUDITOR).text(PAGE)
    assert anybody().get(PAGE).status_code == 302
