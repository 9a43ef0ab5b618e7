"""A sequencer that runs before there is a house, and finds a command waiting: it waits too, and then decides it."""

from __future__ import annotations

import pytest

from config.clock import SimulatedClock
from exchange.models import IntakeKind, IntakeResult
from exchange.sequencer import loop
from exchange.sequencer.intake import Submission, submit
from exchange.sequencer.results import await_result
from tests.api.live_market import LiveMarket, running_sequencer
from tests.conftest import DatabaseUrls
from tests.crash.sequencers import epoch, wait_until
from tests.integration.exchange.market import ACTOR, NOW


def test_it_goes_on_once_the_house_is_there(database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "RETRY_SECONDS", 0.05)
    SimulatedClock().set(NOW)
    early = submit(Submission(IntakeKind.CANCEL_ALL, None, ACTOR, {}, party_id=1), now=NOW).seq
    with running_sequencer():
        wait_until(lambda: epoch() == 1, "it to lead")
        assert not IntakeResult.objects.exists()
        market = LiveMarket()
        answer = await_result(early, timeout_s=10)
        assert answer is not None
        assert answer["status"] == "accepted"
        assert market.buy(market.party("buyer-1"), 1, 400)["order_status"] == "open"
