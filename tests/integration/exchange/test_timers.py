"""Expiries and dead-man switches: what time alone decides, and that no restart forgets it."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest

from exchange.models import DeadManSwitch, IntakeKind, Order, SequencerBatch
from exchange.sequencer import loop
from exchange.sequencer.loop import Sequencer, drain
from ledger.models import Party
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.commands import about, check_memory, decided, order, put, status_of
from tests.integration.exchange.market import NOW, Market

SWITCH = IntakeKind.CANCEL_ALL_AFTER


def at(seconds: int) -> datetime:
    return NOW + timedelta(seconds=seconds)


def good_till(market: Market, party: Party, seconds: int, price: int = 400) -> int:
    """An open order that expires so many seconds from the start."""
    expires_at = at(seconds).isoformat()
    seq = put(market, order(market, party, "buy", 2, price, time_in_force="gtd", expires_at=expires_at))
    market.results([seq])
    return seq


def test_an_order_expires_by_time_alone(market: Market) -> None:
    buyer = market.party("buyer-1")
    expiring = good_till(market, buyer, 60)
    market.clock.at = at(59)
    assert drain(market.clock) == 0
    market.clock.at = at(60)
    assert drain(market.clock) == 1
    assert status_of(expiring) == ("expired", "expired", 2)
    assert Order.objects.get(id=expiring).closed_at == at(60)
    assert market.cash(buyer).held == 0
    batch = SequencerBatch.objects.latest("no")
    assert (batch.first_seq, batch.last_seq, batch.ran_at) == (expiring + 1, expiring, at(60))
    assert drain(market.clock) == 0
    check_exchange()


def test_what_is_due_comes_before_the_commands_that_wait(market: Market) -> None:
    buyer = market.party("buyer-1")
    expiring = good_till(market, buyer, 60)
    market.clock.at = at(61)
    assert market.offer(2, 400)["fills"] == []
    assert status_of(expiring)[0] == "expired"
    check_exchange()


def test_all_that_is_due_comes_before_them_however_much_it_is(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "MAX_BATCH_COMMANDS", 2)
    buyer = market.party("buyer-1")
    expiring = [good_till(market, buyer, 60 + i, 400 + i) for i in range(5)]
    before = SequencerBatch.objects.count()
    market.clock.at = at(70)
    assert market.offer(2, 400)["fills"] == []
    assert [status_of(each)[0] for each in expiring] == ["expired"] * 5
    assert SequencerBatch.objects.count() == before + 3


def test_an_order_that_is_over_before_its_time_leaves_no_timer(market: Market) -> None:
    filled = good_till(market, market.party("buyer-1"), 60)
    market.offer(2, 400)
    before = SequencerBatch.objects.count()
    market.clock.at = at(100)
    assert drain(market.clock) == 0
    assert SequencerBatch.objects.count() == before
    assert status_of(filled)[0] == "filled"


def test_one_that_stays_knows_what_one_that_restarts_reads(market: Market) -> None:
    buyer = market.party("buyer-1")
    staying = Sequencer(market.clock)
    staying.take_over(threading.Event())
    submitted = [
        put(market, order(market, buyer, "buy", 1, 400, time_in_force="gtd", expires_at=at(seconds).isoformat()))
        for seconds in (90, 30, 60)
    ]
    staying.step()
    check_memory(staying)
    for seconds, still_open in ((30, 2), (60, 1), (90, 0)):
        market.clock.at = at(seconds - 1)
        assert staying.step() == 0
        market.clock.at = at(seconds)
        assert staying.step() == 1
        assert Order.objects.filter(id__in=submitted, status="open").count() == still_open
        check_memory(staying)


def test_a_dead_mans_switch_cancels_all_unless_it_is_renewed(market: Market) -> None:
    buyer, bystander = market.party("buyer-1"), market.party("buyer-2")
    resting = [put(market, order(market, buyer, "buy", 1, price)) for price in (398, 399)]
    kept = put(market, order(market, bystander, "buy", 1, 398))
    (answer,) = decided(market, about(market, SWITCH, buyer, seconds=10))
    assert answer["due_at"] == at(10).isoformat()
    market.clock.at = at(5)
    decided(market, about(market, SWITCH, buyer, seconds=10))
    market.clock.at = at(14)
    assert drain(market.clock) == 0
    market.clock.at = at(15)
    assert drain(market.clock) == 1
    assert {status_of(each)[:2] for each in resting} == {("cancelled", "switched_off")}
    assert status_of(kept)[0] == "open"
    assert DeadManSwitch.objects.get().due_at is None
    (after,) = decided(market, order(market, buyer, "buy", 1, 398))
    market.clock.at = at(1_000)
    assert drain(market.clock) == 0
    assert status_of(after["order_id"])[0] == "open"
    check_exchange()


def test_a_switch_can_be_stopped(market: Market) -> None:
    buyer = market.party("buyer-1")
    resting = put(market, order(market, buyer, "buy", 1, 398))
    _, stopped = decided(market, about(market, SWITCH, buyer, seconds=10), about(market, SWITCH, buyer, seconds=0))
    assert stopped["due_at"] is None
    market.clock.at = at(60)
    assert drain(market.clock) == 0
    assert status_of(resting)[0] == "open"


def test_expiries_come_before_switches_of_the_same_instant(market: Market) -> None:
    buyer = market.party("buyer-1")
    expiring = good_till(market, buyer, 10)
    resting = put(market, order(market, buyer, "buy", 1, 398))
    decided(market, about(market, SWITCH, buyer, seconds=10))
    market.clock.at = at(10)
    assert drain(market.clock) == 2
    assert status_of(expiring)[1] == "expired"
    assert status_of(resting)[1] == "switched_off"


def test_a_clock_that_steps_back_moves_no_batch_back(market: Market) -> None:
    buyer = market.party("buyer-1")
    market.clock.at = at(100)
    expiring = good_till(market, buyer, 110)
    market.clock.at = at(-3_000)
    decided(market, about(market, SWITCH, buyer, seconds=5))
    assert DeadManSwitch.objects.get().due_at == at(105)
    ran = list(SequencerBatch.objects.order_by("no").values_list("ran_at", flat=True))
    assert ran == sorted(ran)
    assert ran[-1] == at(100)
    market.clock.at = at(111)
    drain(market.clock)
    assert status_of(expiring)[1] in {"expired", "switched_off"}
    check_exchange()
