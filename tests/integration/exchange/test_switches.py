"""A dead-man switch covers every shard, whenever that came into trade, and is left set in none that is out of it."""

from __future__ import annotations

import threading
from datetime import timedelta

from exchange.commands.cancel_all import CancelAll, cancel_all
from exchange.commands.cancel_all_after import CancelAllAfter, cancel_all_after
from exchange.commands.sweep_contract_life import sweep_contract_life
from exchange.models import Contract, DeadManSwitch, Intake, IntakeKind
from exchange.selectors.switches import get_switch
from exchange.sequencer.loop import Sequencer, drain
from exchange.sequencer.results import find_result
from ledger.models import Party
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.commands import order, put, status_of
from tests.integration.exchange.market import ACTOR, NOW, START, Market

NEXT = START + timedelta(hours=1)
SECOND = timedelta(seconds=1)


def switch(market: Market, party: Party, seconds: int) -> list[int]:
    return cancel_all_after(CancelAllAfter(party.id, seconds), actor=ACTOR, now=market.clock.at)


def drain_both(market: Market) -> int:
    return sum(drain(market.clock, shard) for shard in (1, 2))


def later(market: Market, hours: int = 1) -> Contract:
    """A contract of shard 2 that opens for trading only now."""
    contract = market.list_window(START + timedelta(hours=hours), shard=2)
    market.sweep()
    drain(market.clock, 2)
    contract.refresh_from_db()
    assert contract.state == "trading"
    return contract


def bid(market: Market, party: Party, contract: Contract) -> int:
    seq = put(market, order(market, party, "buy", 1, 390, contract=contract))
    drain_both(market)
    assert status_of(seq)[0] == "open"
    return seq


def set_in() -> dict[int, int]:
    """The shards in which a switch is set, and the second of the test at which it is due there."""
    rows = DeadManSwitch.objects.filter(due_at__isnull=False).values_list("shard", "due_at")
    return {shard: (due_at - NOW) // SECOND for shard, due_at in rows if due_at is not None}


def test_it_covers_a_shard_that_comes_into_trade_after_it_was_set(market: Market) -> None:
    buyer, bystander = market.party("buyer-1"), market.party("buyer-2")
    switch(market, buyer, 60)
    drain_both(market)
    assert set_in() == {1: 60}
    market.clock.at += 20 * SECOND
    other = later(market)
    assert set_in() == {1: 60, 2: 60}
    assert get_switch(buyer.id, market.clock.at) == NOW + 60 * SECOND
    orders = [bid(market, buyer, contract) for contract in (market.contract, other)]
    kept = bid(market, bystander, other)
    market.clock.at = NOW + 59 * SECOND
    assert drain_both(market) == 0
    market.clock.at = NOW + 60 * SECOND
    assert drain(market.clock, 2) == 1  # whatever the other shard does
    assert [status_of(each)[1] for each in orders] == ["", "switched_off"]
    assert drain(market.clock, 1) == 1
    assert [status_of(each)[1] for each in orders] == ["switched_off"] * 2
    assert status_of(kept)[0] == "open"
    assert set_in() == {}
    check_exchange()


def test_a_sequencer_that_has_run_all_along_hears_of_it(market: Market) -> None:
    staying = Sequencer(market.clock, 2)
    staying.take_over(threading.Event())
    assert staying.step() == 0
    buyer = market.party("buyer-1")
    switch(market, buyer, 60)
    drain(market.clock, 1)
    other = market.list_window(NEXT, shard=2)
    market.sweep()
    while staying.step():
        pass
    mine = put(market, order(market, buyer, "buy", 1, 390, contract=other))
    assert staying.step() == 1
    market.clock.at += 60 * SECOND
    assert staying.step() == 1
    assert status_of(mine)[1] == "switched_off"


def test_one_that_is_not_yet_decided_where_it_was_set_goes_along(market: Market) -> None:
    """The first shard's sequencer is down all the while; the last that was said counts."""
    silent, stopped, renewed = (market.party(name) for name in ("silent", "stopped", "renewed"))
    for party, seconds in ((silent, 60), (stopped, 60), (renewed, 600), (stopped, 0), (renewed, 30)):
        switch(market, party, seconds)
    market.list_window(NEXT, shard=2)
    before = Intake.objects.count()
    sweep_contract_life(market.clock.at)
    told = Intake.objects.filter(shard=2).order_by("seq").values_list("kind", "party_id", "payload__seconds")
    assert list(told) == [
        (IntakeKind.CANCEL_ALL_AFTER, silent.id, 60),
        (IntakeKind.CANCEL_ALL_AFTER, renewed.id, 30),
        (IntakeKind.OPEN_GATE, None, None),
    ]
    assert Intake.objects.count() == before + 3
    drain(market.clock, 2)
    drain(market.clock, 1)
    standing = DeadManSwitch.objects.filter(due_at__isnull=False).values_list("party_id", "shard", "due_at")
    assert set(standing) == {
        (party.id, shard, NOW + seconds * SECOND)
        for party, seconds in ((silent, 60), (renewed, 30))
        for shard in (1, 2)
    }


def test_what_is_stopped_or_has_fired_is_not_taken_along(market: Market) -> None:
    stopped, fired, overdue = (market.party(name) for name in ("stopped", "fired", "overdue"))
    switch(market, stopped, 60)
    switch(market, fired, 5)
    drain(market.clock, 1)
    switch(market, stopped, 0)
    market.clock.at += 10 * SECOND
    drain(market.clock, 1)
    switch(market, overdue, 1)
    drain(market.clock, 1)
    market.clock.at += SECOND  # due now, and not yet found
    market.list_window(NEXT, shard=2)
    market.sweep()
    assert not Intake.objects.filter(shard=2, kind=IntakeKind.CANCEL_ALL_AFTER).exists()


def test_each_gate_tells_a_shard_once(market: Market) -> None:
    buyer = market.party("buyer-1")
    switch(market, buyer, 600)
    drain(market.clock, 1)
    market.list_window(NEXT, shard=2)
    market.list_window(NEXT + timedelta(hours=1), shard=2)
    market.sweep()
    assert Intake.objects.filter(shard=2, kind=IntakeKind.CANCEL_ALL_AFTER).count() == 1
    later(market, hours=3)
    assert Intake.objects.filter(shard=2, kind=IntakeKind.CANCEL_ALL_AFTER).count() == 1


def test_it_is_stopped_where_nothing_is_in_trade_any_more(market: Market) -> None:
    other = later(market)
    buyer = market.party("buyer-1")
    switch(market, buyer, 86_400)
    drain_both(market)
    assert set_in() == {1: 86_400, 2: 86_400}
    Contract.objects.filter(id=other.id).update(state="closed")
    numbers = switch(market, buyer, 60)
    assert list(Intake.objects.filter(seq__in=numbers).values_list("shard", flat=True)) == [1]
    drain(market.clock, 1)
    # Nobody waits for a shard whose sequencer may be gone, nor tells it twice.
    assert get_switch(buyer.id, market.clock.at) == NOW + 60 * SECOND
    before = Intake.objects.filter(shard=2).count()
    switch(market, buyer, 60)
    assert Intake.objects.filter(shard=2).count() == before
    drain_both(market)
    assert set_in() == {1: 60}
    again = later(market, hours=2)  # and it is covered once more
    assert set_in() == {1: 60, 2: 60}
    mine = bid(market, buyer, again)
    market.clock.at += 60 * SECOND
    drain_both(market)
    assert status_of(mine)[1] == "switched_off"


def test_stopping_it_stops_it_everywhere(market: Market) -> None:
    other = later(market)
    buyer = market.party("buyer-1")
    for seconds, left in ((86_400, 2), (0, 0)):
        numbers = switch(market, buyer, seconds)
        drain_both(market)
        assert all(find_result(seq) for seq in numbers)
        assert len(set_in()) == left
        Contract.objects.filter(id=other.id).update(state="closed")
    assert get_switch(buyer.id, market.clock.at) is None


def test_cancelling_all_troubles_no_shard_that_is_out_of_trade(market: Market) -> None:
    other = later(market)
    buyer = market.party("buyer-1")
    switch(market, buyer, 60)
    drain_both(market)
    Contract.objects.filter(id=other.id).update(state="closed")
    numbers = cancel_all(CancelAll(buyer.id), actor=ACTOR, now=market.clock.at)
    assert list(Intake.objects.filter(seq__in=numbers).values_list("shard", flat=True)) == [1]


def test_with_nothing_in_trade_it_waits_in_the_first_shard(market: Market) -> None:
    Contract.objects.update(state="closed")
    buyer = market.party("buyer-1")
    switch(market, buyer, 60)
    drain_both(market)
    assert get_switch(buyer.id, market.clock.at) == NOW + 60 * SECOND
    mine = bid(market, buyer, later(market))
    assert get_switch(buyer.id, market.clock.at) == NOW + 60 * SECOND
    market.clock.at += 60 * SECOND
    drain_both(market)
    assert status_of(mine)[1] == "switched_off"
    assert set_in() == {}
