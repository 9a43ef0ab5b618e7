"""A batch whose connection dies before or after its statements were sent: it is done again, from a fresh memory."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from django.db import connection, connections

from exchange.models import Order, SetAside
from exchange.sequencer import loop
from exchange.sequencer.loop import Sequencer
from exchange.sequencer.results import await_results
from exchange.sequencer.writer import write_batch
from tests.conftest import DatabaseUrls
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.market import Market


def cut(urls: DatabaseUrls) -> None:
    """The connection dies while the batch's statements are under way."""
    with psycopg.connect(urls.app_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])


@pytest.mark.parametrize("written", [False, True])
def test_the_batch_is_done_again(database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, written: bool) -> None:
    market = Market()
    market.offer(3, 400)
    buyer = market.party("buyer-1")
    tries: list[None] = []

    def write(*arguments: Any) -> Any:
        tries.append(None)
        if len(tries) > 1:
            return write_batch(*arguments)
        head = write_batch(*arguments) if written else None
        cut(database)
        return head or write_batch(*arguments)

    monkeypatch.setattr(loop, "write_batch", write)
    monkeypatch.setattr(loop, "RETRY_SECONDS", 0.05)
    stop = threading.Event()

    sequencer = Sequencer(market.clock)

    def run() -> None:
        try:
            sequencer.run(stop)
        finally:
            connections.close_all()

    seqs = [market.submit_buy(buyer, 2, 400) for _ in range(2)]
    worker = threading.Thread(target=run)
    worker.start()
    try:
        answers = await_results(seqs, timeout_s=15)
    finally:
        stop.set()
        worker.join()
    assert [answers[seq]["order_status"] for seq in seqs] == ["filled", "open"]
    assert len(tries) == 2
    assert Order.objects.filter(id__in=seqs).count() == 2
    assert not SetAside.objects.exists()
    check_exchange()
