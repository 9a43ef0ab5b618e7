"""Several sequencers at once: one leads, the others stand by, and one that was cut off unawares cannot write."""

from __future__ import annotations

import signal
import time

from exchange.models import SequencerBatch
from exchange.sequencer.lease import held_shards
from exchange.sequencer.results import await_result
from ledger.models import SimulatedClock
from tests.conftest import DatabaseUrls
from tests.crash.checks import check_all
from tests.crash.load import trading
from tests.crash.sequencers import LONGER, cut_off, epoch, processes, seeded, standing_by, start, wait_until
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.market import NOW, Market
from tests.replays import Replays

PAUSES = 2 * LONGER


def test_the_second_takes_over_when_the_first_is_killed(database: DatabaseUrls) -> None:
    market = Market()
    buyer = market.party("buyer-1")
    SimulatedClock.objects.create(id=1, now=NOW)
    before = epoch()
    with processes() as running:
        running.append(start(database))
        wait_until(lambda: epoch() == before + 1, "the first", running)
        running.append(start(database))
        wait_until(lambda: standing_by(database) == 1, "the second", running)
        first = await_result(market.submit_buy(buyer, 1, 400), timeout_s=10)
        assert epoch() == before + 1
        running[0].kill()
        running.pop(0).wait()
        second = await_result(market.submit_buy(buyer, 1, 401), timeout_s=10)
        assert held_shards() == {1}
        assert epoch() == before + 2
    for answer in (first, second):
        assert answer is not None
        assert answer["order_status"] == "open"
    assert held_shards() == set()
    check_exchange()


def test_one_that_slept_while_another_took_over_writes_nothing_and_stands_by(
    database: DatabaseUrls, replays: Replays
) -> None:
    """It sleeps at a random point of its batch, and its connection is gone when it wakes: it does not know yet."""
    draw = seeded()
    with processes() as running, trading(draw) as load:
        before = epoch()
        running.append(start(database))
        wait_until(lambda: epoch() > before, "the first", running)
        running.append(start(database))
        wait_until(lambda: standing_by(database) == 1, "the second", running)
        leads, stands_by = running
        for pause in range(1, PAUSES + 1):
            load.go_on(20, running)
            time.sleep(draw.uniform(0, 0.05))
            leads.send_signal(signal.SIGSTOP)
            try:
                assert cut_off()
                wait_until(lambda: epoch() == before + 1 + pause, "the other", running)  # noqa: B023
                load.go_on(20, running)
            finally:
                leads.send_signal(signal.SIGCONT)
            wait_until(lambda: standing_by(database) == 1, "the one that slept", running)
            leads, stands_by = stands_by, leads
        load.stop()
        assert epoch() == before + 1 + PAUSES
    assert SequencerBatch.objects.values("epoch").distinct().count() >= PAUSES + 1
    check_all(load.acknowledged, replays.run)
