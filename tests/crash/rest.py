"""A web process as `make run` starts it, and clients that place orders through it until each has its answer."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psutil
import requests

from config.environment import CHECKOUT
from config.postgres_server import port_is_free
from config.rest_client import BUSY_WAIT_SECONDS
from config.supervisor import parse_procfile
from exchange.models import Order
from ledger.models import Party, SimulatedClock
from ledger.parties.keys import Scope, issue_key
from tests.conftest import DatabaseUrls
from tests.crash.sequencers import Process, wait_until
from tests.integration.exchange.market import ACTOR, NOW, SYMBOL, Market
from tests.ports import first_port

BUYERS = 3
FIRST_PORT = 9_000
ANSWERED_SECONDS = 60.0
TIMEOUT_SECONDS = 20

Told = dict[str, tuple[int, Any]]


@dataclass
class Web:
    """The web process of the Procfile, to be killed and started again at the same address."""

    urls: DatabaseUrls
    port: int = field(
        default_factory=lambda: next(port for port in range(first_port(FIRST_PORT), 65_536) if port_is_free(port))
    )
    process: Process = field(init=False)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1"

    def start(self) -> None:
        environment = self.urls.environment() | {"TOKENBOURSE_CLOCK": "simulated", "PORT": str(self.port)}
        lines = (CHECKOUT / "Procfile").read_text(encoding="utf-8").splitlines()
        (web,) = parse_procfile(next(line for line in lines if line.startswith("web:")), environment)
        self.process = subprocess.Popen(web.argv, cwd=CHECKOUT, env=environment, start_new_session=True)

    def workers(self) -> list[psutil.Process]:
        """The processes that answer; the first one only starts them."""
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.process.pid).children()
            return [child for child in children if "resource_tracker" not in _command_line(child)]
        return []

    def kill(self) -> None:
        """The whole group, as a machine that goes dark."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def kill_workers(self) -> None:
        """kill -9 of what answers; the first process starts another one."""
        killed = self.workers()
        for worker in killed:
            with suppress(psutil.NoSuchProcess):
                worker.kill()
        wait_until(lambda: not set(killed) & set(self.workers()) and bool(self.workers()), "another worker")


def _command_line(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


@contextmanager
def web_process(urls: DatabaseUrls) -> Iterator[Web]:
    web = Web(urls)
    web.start()
    try:
        yield web
    finally:
        web.kill()


@dataclass
class RestLoad:
    """Buyers who place orders, each under an id of its own, again and again until there is an answer."""

    web: Web
    keys: Mapping[str, str]  # of the buyers, by party code
    _stop: threading.Event
    _clients: Sequence[Future[Told]] = ()
    told: dict[str, Told] = field(default_factory=dict)

    def go_on(self, orders: int, running: Sequence[Process] = ()) -> None:
        """Return when so many more orders have been decided; whoever fails meanwhile fails the test."""
        before = Order.objects.count()

        def reached() -> bool:
            for client in self._clients:
                if client.done():
                    client.result()
            return Order.objects.count() >= before + orders

        wait_until(reached, "orders to be decided", running)

    def stop(self) -> None:
        """Let each buyer end with an answer to whatever it has sent."""
        self._stop.set()
        self.told = dict(zip(self.keys, (client.result() for client in self._clients), strict=True))

    def check_repeats(self) -> None:
        """Every order that was answered is there, once, and whoever sends it again is told the same."""
        for code, told in self.told.items():
            assert _orders_of(code) == sorted(told)
            for client_order_id, (price, answer) in told.items():
                assert self.place(code, client_order_id, price) == answer

    def place(self, code: str, client_order_id: str, price: int) -> Any:
        """The final answer to an order: of one that was placed the content, of one that was refused the code."""
        body = {
            "contract": SYMBOL,
            "side": "buy",
            "price": f"{price / 100:.2f}",
            "lots": "1",
            "time_in_force": "gtc" if price % 3 else "ioc",
            "client_order_id": client_order_id,
        }
        headers = {"Authorization": f"Bearer {self.keys[code]}"}
        deadline = time.monotonic() + ANSWERED_SECONDS
        while time.monotonic() < deadline:
            with suppress(requests.RequestException):
                answer = requests.post(
                    f"{self.web.address}/orders", json=body, headers=headers, timeout=TIMEOUT_SECONDS
                )
                if answer.status_code in {200, 201}:
                    return answer.json()
                if 400 <= answer.status_code < 500:
                    return answer.json()["code"]
            time.sleep(BUSY_WAIT_SECONDS)
        raise AssertionError(f"no answer to {client_order_id} of {code}")


def _orders_of(code: str) -> list[str]:
    """The client_order_ids of a party's orders; one that was refused by the book has its row too."""
    found = Order.objects.filter(party_id=Party.objects.get(code=code).id)
    return sorted(str(each) for each in found.values_list("client_order_id", flat=True))


@contextmanager
def buying(web: Web, draw: random.Random) -> Iterator[RestLoad]:
    """A market whose buyers place orders through the web, until they are stopped or at the end of the block."""
    market, stop = Market(), threading.Event()
    for price in (399, 400, 401):
        market.offer(100, price)
    parties = [market.party(f"buyer-{i}") for i in range(BUYERS)]
    SimulatedClock.objects.create(id=1, now=NOW)
    scopes = (Scope.READ, Scope.TRADE)
    keys = {party.code: issue_key(party, "tests", scopes, actor=ACTOR, now=NOW).text for party in parties}
    load = RestLoad(web, keys, stop)
    with ThreadPoolExecutor(BUYERS) as pool:
        load._clients = [pool.submit(_buy, load, code, random.Random(draw.random()), stop) for code in keys]
        try:
            yield load
        finally:
            stop.set()


def _buy(load: RestLoad, code: str, draw: random.Random, stop: threading.Event) -> Told:
    told: Told = {}
    while not stop.is_set():
        client_order_id, price = f"{code}-{len(told)}", draw.randint(396, 402)
        told[client_order_id] = price, load.place(code, client_order_id, price)
    return told
