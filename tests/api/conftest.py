from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import override_settings

from config.clock import SimulatedClock
from ledger.clock import get_clock
from ledger.models import PartyKind
from ledger.parties.commands import register_party
from tests.api.client import Api
from tests.api.live_market import LiveMarket, api_of, running_sequencer
from tests.conftest import DatabaseUrls
from tests.integration.exchange.market import ACTOR, NOW


@pytest.fixture
def stopped_clock(database: DatabaseUrls) -> Iterator[None]:
    """The product's time stands at `NOW` until the test moves it."""
    with override_settings(CLOCK="config.clock.SimulatedClock"):
        get_clock.cache_clear()
        SimulatedClock().set(NOW)
        yield
    get_clock.cache_clear()


@pytest.fixture
def lone(stopped_clock: None) -> Api:
    """A buyer in a product without a market."""
    return api_of(register_party("buyer-1", "Buyer", PartyKind.BUYER, actor=ACTOR, now=NOW))


@pytest.fixture
def live(stopped_clock: None) -> Iterator[LiveMarket]:
    """A market that trades."""
    with running_sequencer():
        yield LiveMarket()
