"""Only one sequencer writes, and one client_order_id is claimed once, however many ask at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections

from exchange.models import Intake, IntakeResult
from exchange.sequencer.lease import SEQUENCER_LOCK, Superseded
from exchange.sequencer.loop import Sequencer
from exchange.sequencer.results import await_results
from tests.audits import tamper
from tests.conftest import DatabaseUrls
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.market import Market


def in_thread(work: object) -> object:
    """Run something on a database connection of its own."""

    def run() -> object:
        try:
            return work()  # type: ignore[operator]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


def test_a_second_sequencer_waits_for_the_lock(database: DatabaseUrls) -> None:
    market = Market()
    first = Sequencer(market.clock)
    first.take_over(threading.Event())
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    assert in_thread(lambda: Sequencer(market.clock).take_over(stop)) is False
    first.let_go()
    assert in_thread(lambda: Sequencer(market.clock).take_over(threading.Event())) is True


def test_one_that_lost_its_lock_unawares_cannot_write(database: DatabaseUrls) -> None:
    market = Market()
    cut_off = Sequencer(market.clock)
    cut_off.take_over(threading.Event())
    with connection.cursor() as cursor:  # as a connection pooler may do behind our back
        cursor.execute("SELECT pg_advisory_unlock(%s, 1)", [SEQUENCER_LOCK])
    in_thread(lambda: Sequencer(market.clock).take_over(threading.Event()))
    seq = market.submit_buy(market.party("buyer-1"), 1, 400)
    with pytest.raises(Superseded):
        cut_off.step()
    assert not IntakeResult.objects.filter(seq=seq).exists()


def test_control_without_the_epoch_it_would_write(database: DatabaseUrls) -> None:
    market = Market()
    cut_off = Sequencer(market.clock)
    cut_off.take_over(threading.Event())
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s, 1)", [SEQUENCER_LOCK])
    in_thread(lambda: Sequencer(market.clock).take_over(threading.Event()))
    seq = market.submit_buy(market.party("buyer-1"), 1, 400)
    tamper(database, "UPDATE exchange_sequencerstate SET epoch = epoch - 1 WHERE shard = 1")
    cut_off.step()
    assert IntakeResult.objects.filter(seq=seq).exists()


def test_orders_from_many_threads_are_all_decided_once(database: DatabaseUrls) -> None:
    market = Market()
    buyers = [market.party(f"buyer-{i}") for i in range(4)]
    market.offer(60, 400)

    def place(worker: int) -> list[int]:
        try:
            return [
                market.submit_buy(buyers[worker], 1, 400, client_order_id=f"w{i // 2}") for i in range(20)
            ]  # each id twice
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        seqs = {seq for found in pool.map(place, range(4)) for seq in found}
        same = {seq for found in pool.map(place, [0] * 4) for seq in found}
    assert len(seqs) == 40
    assert same <= seqs
    market.results([])
    answers = await_results(sorted(seqs), timeout_s=0)
    assert len(answers) == 40
    assert {answer["order_status"] for answer in answers.values()} == {"filled"}
    assert Intake.objects.filter(kind="place_order", client_order_id__isnull=False).count() == 40
    check_exchange()
