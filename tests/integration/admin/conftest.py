from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.test import override_settings

from config.clock import SimulatedClock
from ledger.clock import get_clock
from ledger.models import MembershipRole, PartyKind, User
from ledger.parties.commands import register_party
from settlement.models import RunKind
from tests.conftest import DatabaseUrls
from tests.integration.admin.people import Visitor, anybody, as_user, login
from tests.integration.settlement.trading_day import ACTOR, NOW, START, TradingDay, refusal, requests


@dataclass(frozen=True, slots=True)
class Site:
    """A market and one person of each role. The contract at 14:00 trades, with fills and open orders of both sides."""

    day: TradingDay
    provider: Visitor
    other_provider: Visitor
    buyer: Visitor
    operator: Visitor
    second_operator: Visitor  # who decides what the first asks for
    auditor: Visitor
    outsider: Visitor  # a superuser without any membership
    nobody: Visitor

    def roles(self) -> dict[str, Visitor]:
        return {
            "provider": self.provider,
            "buyer": self.buyer,
            "operator": self.operator,
            "auditor": self.auditor,
            "superuser": self.outsider,
            "nobody": self.nobody,
        }


@pytest.fixture
def web(database: DatabaseUrls) -> Iterator[None]:
    """Time stands at `NOW` for pages too, and passwords are hashed fast."""
    hashers = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    with override_settings(CLOCK="config.clock.SimulatedClock", PASSWORD_HASHERS=hashers):
        get_clock.cache_clear()
        SimulatedClock().set(NOW)
        yield
    get_clock.cache_clear()


@pytest.fixture
def site(web: None) -> Site:
    day = TradingDay()
    day.sell("provider-1", 8, 420)
    day.sell("provider-2", 5, 430)
    day.buy("buyer-1", 6, 425)
    day.buy("buyer-2", 3, 400)
    auditor = register_party("auditor", "Auditor", PartyKind.AUDITOR, actor=ACTOR, now=NOW)
    outsider = User.objects.create(username="root", is_staff=True, is_superuser=True, date_joined=NOW)
    return Site(
        day=day,
        provider=login("pia", day.parties["provider-1"], MembershipRole.PROVIDER_STAFF),
        other_provider=login("pablo", day.parties["provider-2"], MembershipRole.PROVIDER_STAFF),
        buyer=login("bea", day.parties["buyer-1"], MembershipRole.BUYER_STAFF),
        operator=login("olga", day.parties["house"], MembershipRole.OPERATOR),
        second_operator=login("otto", day.parties["house"], MembershipRole.OPERATOR),
        auditor=login("arun", auditor, MembershipRole.AUDITOR),
        outsider=as_user(outsider),
        nobody=anybody(),
    )


@pytest.fixture
def settled(site: Site) -> Site:
    """The same after delivery and the initial run."""
    day = site.day
    day.deliver()
    day.report_both("buyer-1", "provider-1", [*requests(40_000), refusal(5_000)])
    day.settle(RunKind.INITIAL)
    SimulatedClock().set(START + timedelta(hours=2))
    return site
