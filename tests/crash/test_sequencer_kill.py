"""kill -9 of the sequencer under load: what was acknowledged is there, once, and the line goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from django.db import connections

from config.environment import CHECKOUT
from exchange.models import Intake, IntakeResult, Order, SequencerState
from exchange.sequencer.results import await_result, await_results
from ledger.models import Party, SimulatedClock
from tests.conftest import DatabaseUrls
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.market import NOW, Market

CLIENTS = 3
KILLS = 2
ORDERS = 120  # of each client


def start(urls: DatabaseUrls) -> subprocess.Popen[bytes]:
    environment = urls.environment() | {"TOKENBOURSE_CLOCK": "simulated"}
    return subprocess.Popen([sys.executable, "manage.py", "run_sequencer"], cwd=CHECKOUT, env=environment)


def trade(market: Market, buyer: Party, client: int) -> dict[int, dict[str, Any]]:
    """Place orders one after the other and keep what was acknowledged."""
    acknowledged = {}
    try:
        for number in range(ORDERS):
            seq = market.submit_buy(buyer, 1, 398 + (number + client) % 5, client_order_id=f"n{number}")
            answer = await_result(seq, timeout_s=15)
            assert answer is not None, "the sequencer does not answer"
            acknowledged[seq] = answer
    finally:
        connections.close_all()
    return acknowledged


def test_no_acknowledged_order_is_lost_or_doubled(database: DatabaseUrls) -> None:
    market = Market()
    buyers = [market.party(f"buyer-{i}") for i in range(CLIENTS)]
    for _ in range(3):
        market.offer(100, 400)
    SimulatedClock.objects.create(id=1, now=NOW)
    epoch = SequencerState.objects.get().epoch
    process = start(database)
    try:
        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(trade, market, buyer, i) for i, buyer in enumerate(buyers)]
            for kill in range(1, KILLS + 1):
                while IntakeResult.objects.count() < kill * CLIENTS * ORDERS // (KILLS + 1):
                    assert process.poll() is None, "the sequencer ended by itself"
                    assert not any(client.done() for client in clients)
                    time.sleep(0.01)
                process.kill()
                process.wait()
                process = start(database)
            acknowledged = {seq: answer for client in clients for seq, answer in client.result().items()}
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            assert process.wait(timeout=10) == 0
        process.kill()
    assert SequencerState.objects.get().epoch == epoch + KILLS + 1
    assert len(acknowledged) == CLIENTS * ORDERS
    assert await_results(sorted(acknowledged), timeout_s=0) == acknowledged
    placed = Intake.objects.filter(kind="place_order").values_list("seq", flat=True)
    assert set(Order.objects.values_list("id", flat=True)) == set(placed)
    check_exchange()
