"""kill -9 of the web process under usage: each event that was answered is stored, all are stored once, and the sums by
minute are those of what was sent."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import requests

from config.rest_client import BUSY_WAIT_SECONDS
from ledger.models import SimulatedClock
from ledger.parties.keys import Scope, issue_key
from settlement.metering.rollup_check import find_differences
from settlement.metering.rollups import roll_up
from settlement.models import UsageBatch, UsageDedup, UsageEvent, UsageMinute
from tests.conftest import DatabaseUrls
from tests.crash.rest import ANSWERED_SECONDS, TIMEOUT_SECONDS, Web, web_process
from tests.crash.sequencers import LONGER, seeded, wait_until
from tests.integration.settlement.trading_day import ACTOR, NOW, START, TradingDay, usage

KILLS = 4 * LONGER
EVENTS_A_CALL = 1_000
pytestmark = pytest.mark.xdist_group("servers")


@dataclass
class Meters:
    """Both sides' meters, each sending call after call, every call until it is answered."""

    web: Web
    stop: threading.Event = field(default_factory=threading.Event)
    answered: int = 0  # calls
    attempts: int = 0

    def report(self, party: str, key: str) -> int:
        """Send until told to stop; how many calls were answered."""
        calls = 0
        while not self.stop.is_set():
            events = [
                usage(f"{calls}-{number}", 10, at=START + timedelta(seconds=number % 60)) | {"source": f"meter/{party}"}
                for number in range(EVENTS_A_CALL)
            ]
            told = self._send(key, json.dumps(events).encode())
            assert [item["id"] for item in told] == [event["id"] for event in events]
            statuses = {item["status"] for item in told}
            assert statuses in ({"accepted"}, {"duplicate"}), statuses  # a call is taken in whole or not at all
            calls, self.answered = calls + 1, self.answered + 1
        return calls

    def _send(self, key: str, body: bytes) -> Any:
        deadline = time.monotonic() + ANSWERED_SECONDS
        while time.monotonic() < deadline:
            self.attempts += 1
            with suppress(requests.RequestException):
                answer = requests.post(
                    f"{self.web.address}/usage-events",
                    data=body,
                    headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
                    timeout=TIMEOUT_SECONDS,
                )
                if answer.status_code == 200:
                    return answer.json()["items"]
                assert answer.status_code >= 500, answer.text
            time.sleep(BUSY_WAIT_SECONDS)
        raise AssertionError("no answer")


@contextmanager
def reporting(web: Web) -> Iterator[tuple[Meters, list[Future[int]]]]:
    day = TradingDay()
    SimulatedClock.objects.create(id=1, now=START + timedelta(minutes=2))
    meters = Meters(web)
    parties = ("provider-1", "buyer-1")
    keys = {code: issue_key(day.parties[code], "tests", [Scope.METER], actor=ACTOR, now=NOW).text for code in parties}
    with ThreadPoolExecutor(len(parties)) as pool:
        try:
            yield meters, [pool.submit(meters.report, *each) for each in keys.items()]
        finally:
            meters.stop.set()


def test_a_web_process_killed_in_the_middle_of_calls_loses_and_doubles_nothing(database: DatabaseUrls) -> None:
    draw = seeded()
    with web_process(database) as web, reporting(web) as (meters, clients):
        for kill in range(KILLS):
            _go_on(meters, clients, 3)
            _kill_within_a_call(web, draw, whole=kill % 2 == 1)
        _go_on(meters, clients, 2)
        meters.stop.set()
        calls = [client.result() for client in clients]
    assert meters.attempts > sum(calls), "no call was hit"
    sent = sum(calls) * EVENTS_A_CALL
    assert UsageEvent.objects.count() == UsageDedup.objects.count() == sent
    assert sum(UsageBatch.objects.values_list("accepted", flat=True)) == sent
    assert set(UsageBatch.objects.values_list("accepted", "duplicates")) <= {(EVENTS_A_CALL, 0), (0, EVENTS_A_CALL)}
    while roll_up(now=START).calls:
        pass
    assert sum(UsageMinute.objects.values_list("completed", flat=True)) == sent
    assert not find_differences()


def _go_on(meters: Meters, clients: list[Future[int]], calls: int) -> None:
    before = meters.answered

    def reached() -> bool:
        for client in clients:
            if client.done():
                client.result()
        return meters.answered >= before + calls

    wait_until(reached, "calls to be answered")


def _kill_within_a_call(web: Web, draw: random.Random, *, whole: bool) -> None:
    time.sleep(draw.uniform(0, 0.2))
    if whole:
        web.kill()
        web.start()
    else:
        web.kill_workers()
