"""The day's parties at their keyboards: REST clients by party and thread, and what a buyer does with an order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

from config.rest_client import RestClient

THREADS = 4
PENDING_WAIT_SECONDS = 0.1
PENDING_SECONDS = 60.0

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Bots:
    """Clients under each party's API key, one a thread; a context manager that closes them all."""

    def __init__(self, base_url: str, keys: Mapping[str, str]) -> None:
        self._base_url, self._keys = base_url, dict(keys)
        self._own = threading.local()
        self._opened: list[RestClient] = []

    def of(self, party: str) -> RestClient:
        """The calling thread's client of a party."""
        clients: dict[str, RestClient] = self._own.__dict__.setdefault("clients", {})
        if party not in clients:
            clients[party] = RestClient(self._base_url, self._keys[party])
            self._opened.append(clients[party])
        return clients[party]

    def __enter__(self) -> Bots:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._opened:
            client.close()


def side_by_side(act: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> list[ResultT]:
    """Do something with each item in a few threads; results in order. The first failure is raised."""
    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(act, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def place_order(client: RestClient, **order: Any) -> dict[str, Any]:
    """Buy, and wait for the outcome even where the interface asks for patience."""
    answer: dict[str, Any] = client.post("/api/v1/orders", {"side": "buy", **order})
    deadline = time.monotonic() + PENDING_SECONDS
    while answer["status"] == "pending" and time.monotonic() < deadline:
        time.sleep(PENDING_WAIT_SECONDS)
        answer = client.get(f"/api/v1/orders/{answer['order_id']}")
    return answer
