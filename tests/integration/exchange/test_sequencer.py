"""The sequencer: memory that can always be read again, and commands that cannot stop the line."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, connections

from exchange.models import Intake, IntakeKind, IntakeResult, Order, SequencerBatch, SequencerState
from exchange.selectors.operations import get_sequencer
from exchange.selectors.orders import get_order
from exchange.sequencer.intake import Submission, submit
from exchange.sequencer.lease import Superseded
from exchange.sequencer.loop import BATCHES_AT_ONCE, Sequencer
from exchange.sequencer.results import await_result, await_results
from ledger.models import Batch, Transaction
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.market import ACTOR, NOW, Market


def running(market: Market) -> Sequencer:
    sequencer = Sequencer(market.clock)
    sequencer.take_over(threading.Event())
    return sequencer


def test_a_batch_is_one_ledger_transaction_and_records_what_it_saw(market: Market) -> None:
    buyers = [market.party(f"buyer-{i}") for i in range(4)]
    market.offer(10, 400)
    before = Batch.objects.count()
    seqs = [market.submit_buy(buyer, 2, 400) for buyer in buyers]
    market.results(seqs)
    batch = SequencerBatch.objects.latest("no")
    assert (batch.first_seq, batch.last_seq, batch.ran_at) == (seqs[0], seqs[-1], NOW)
    assert Batch.objects.count() == before + 1
    posted = Transaction.objects.latest("id")
    assert posted.id == batch.ledger_transaction
    assert (posted.kind, posted.source, posted.reference) == ("clearing", "sequencer", str(batch.no))
    assert posted.legs == 4 * 3 + 2


def test_a_rebuilt_book_goes_on_where_the_old_one_stopped(market: Market) -> None:
    buyer = market.party("buyer-1")
    kept, dropped = running(market), Sequencer(market.clock)
    for price in (400, 395, 400, 410):
        market.offer(3, price)
    kept.take_over(threading.Event())
    market.submit_buy(buyer, 4, 400)
    kept.step()
    dropped.take_over(threading.Event())  # same connection, so the same lock; it has no memory and a new epoch
    seq = market.submit_buy(buyer, 4, 410)
    dropped.step()
    result = await_result(seq, 0)
    assert result is not None
    assert [fill["price_ticks"] for fill in result["fills"]] == [400, 400]
    assert [fill["lots"] for fill in result["fills"]] == [2, 2]
    market.submit_buy(buyer, 1, 400)
    with pytest.raises(Superseded):
        kept.step()
    check_exchange()


def test_a_command_that_cannot_be_processed_is_set_aside_and_stops_nobody(market: Market) -> None:
    buyer = market.party("buyer-1")
    before = market.submit_buy(buyer, 1, 400)
    broken = [
        Intake.objects.create(
            kind="place_order", contract_id=contract_id, party_id=buyer.id, actor="t", payload=payload, received_at=NOW
        ).seq
        for contract_id, payload in ((market.contract.id, {"side": "buy"}), (999_999, {"side": "buy", "lots": 1}))
    ]
    after = market.submit_buy(buyer, 2, 400)
    answers = market.results([before, *broken, after])
    assert [answer["status"] for answer in answers] == ["accepted", "failed", "failed", "accepted"]
    assert {answer["code"] for answer in answers[1:3]} == {"internal_error"}
    assert list(Order.objects.values_list("id", flat=True)) == [before, after]
    assert get_sequencer().waiting == 0
    check_exchange()


def test_an_order_that_was_set_aside_does_not_stay_pending(market: Market) -> None:
    buyer = market.party("buyer-1")
    payload = {"side": "buy", "price_ticks": 0, "lots": 1, "time_in_force": "gtc", "overage_permille": 0}
    broken = submit(Submission(IntakeKind.PLACE_ORDER, market.contract.id, ACTOR, payload, buyer.id), now=NOW).seq
    assert get_order(buyer.id, broken).status == "pending"
    market.results([broken])
    order = get_order(buyer.id, broken)
    assert (order.status, order.close_reason) == ("rejected", "internal_error")


def test_a_long_line_is_taken_in_several_batches(market: Market) -> None:
    buyer = market.party("buyer-1")
    seqs = [market.submit_buy(buyer, 1, 300 + i) for i in range(7)]
    sequencer = Sequencer(market.clock, max_batch=3)
    sequencer.take_over(threading.Event())
    assert [sequencer.step() for _ in range(2)] == [7, 0]
    batches = SequencerBatch.objects.filter(last_seq__gte=seqs[0]).order_by("no")
    assert list(batches.values_list("last_seq", flat=True)) == [seqs[2], seqs[5], seqs[6]]
    assert len(await_results(seqs)) == 7
    assert SequencerState.objects.get(shard=1).cursor == seqs[-1]


def test_what_waits_behind_a_full_take_is_read_ahead_and_decided_once(market: Market) -> None:
    buyers = [market.party(f"buyer-{n}") for n in range(1, 4)]
    seqs = [market.submit_buy(buyers[i % 3], 1, 300 + i) for i in range(9)]
    sequencer = Sequencer(market.clock, max_batch=1)
    sequencer.take_over(threading.Event())
    assert sequencer.step() == BATCHES_AT_ONCE
    late = market.submit_buy(buyers[0], 1, 200)  # what was read ahead does not know it
    assert [sequencer.step() for _ in range(4)] == [BATCHES_AT_ONCE, 2, 0, 0]
    sequencer.let_go()
    assert len(await_results([*seqs, late])) == 10
    assert SequencerBatch.objects.filter(last_seq__gte=seqs[0]).count() == 10


def test_results_are_waited_for_and_told_within_the_time(market: Market) -> None:
    buyer = market.party("buyer-1")
    seq = market.submit_buy(buyer, 1, 400)
    assert await_result(seq, timeout_s=0.1) is None
    stop = threading.Event()

    def run() -> None:
        try:
            Sequencer(market.clock).run(stop)
        finally:
            connections.close_all()

    worker = threading.Thread(target=run)
    worker.start()
    try:
        first = await_result(seq)
        second = await_result(market.submit_buy(buyer, 1, 400))
        assert first is not None
        assert second is not None
        with connection.cursor() as cursor:  # its connection is cut: it starts over and goes on
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
                " WHERE datname = current_database() AND locktype = 'advisory' AND classid = %s",
                [0x544F_4B53],
            )
        third = await_result(market.submit_buy(buyer, 1, 400), timeout_s=10)
        assert third is not None
    finally:
        stop.set()
        worker.join()
    assert IntakeResult.objects.filter(seq__gte=seq).count() == 3
    check_exchange()
