"""Two shards side by side: the same answers as one would give, in one ledger."""

from __future__ import annotations

import random
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections

from exchange import trading_rules
from exchange.models import Contract, DeadManSwitch, Intake, IntakeKind, SequencerBatch, SequencerState
from exchange.sequencer.intake import Submission, Submitted, submit_all, submit_bundle, submit_to_shards
from exchange.sequencer.loop import Sequencer, drain
from exchange.sequencer.results import await_results, find_result
from exchange.sequencer.switches import submit_switch
from tests.audits import audit, found_by
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.commands import order, status_of
from tests.integration.exchange.market import ACTOR, START, Market

NEXT = START + timedelta(hours=1)
OWN = ("order_id", "order_ids", "fill_id", "trade_no")


@pytest.fixture
def other(market: Market) -> Contract:
    """A contract of shard 2, open for trading."""
    contract = market.list_window(NEXT, shard=2)
    market.sweep()
    drain(market.clock, 2)
    contract.refresh_from_db()
    assert contract.state == "trading"
    return contract


def flow(market: Market, contract: Contract, seed: int) -> list[Submission]:
    """Orders of three buyers and the provider in a contract."""
    drawn = random.Random(seed)
    parties = [market.provider] + [market.party(f"{contract.id}-{i}") for i in range(3)]
    wanted = []
    for _ in range(120):
        party = drawn.choice(parties)
        side = "sell" if party == market.provider else "buy"
        kind = drawn.choice(["gtc", "gtc", "ioc", "fok"])
        lots, price = drawn.randint(1, 4), drawn.randint(395, 405)
        wanted.append(order(market, party, side, lots, price, contract=contract, time_in_force=kind))
    return wanted


def outcome(answer: dict[str, Any] | None) -> Any:
    """An answer without the numbers that are the exchange's own."""
    assert answer is not None
    return {
        key: [outcome(each) for each in value] if key == "fills" else value
        for key, value in answer.items()
        if key not in OWN
    }


def test_each_shard_gives_the_answers_that_one_alone_would_give(market: Market, other: Contract) -> None:
    seed = secrets.randbits(32)
    print("seed", seed)
    twins = [submit_all(flow(market, contract, seed), now=market.clock.at) for contract in (market.contract, other)]
    assert set(Intake.objects.filter(seq__in=twins[1]).values_list("shard", flat=True)) == {2}
    stop = threading.Event()

    def run(shard: int) -> None:
        try:
            Sequencer(market.clock, shard, max_batch=7).run(stop)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(run, shard) for shard in (1, 2)]
        answers = await_results(sorted(twins[0] + twins[1]), timeout_s=20)
        stop.set()
        for each in running:
            each.result()
    one, two = ([outcome(answers.get(seq)) for seq in seqs] for seqs in twins)
    assert one == two
    ran = SequencerBatch.objects.filter(last_seq__gte=twins[0][0]).order_by("no")
    assert {batch.shard for batch in ran} == {1, 2}
    numbers = list(SequencerBatch.objects.order_by("no").values_list("no", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))
    check_exchange()
    assert found_by(audit()) == {}


def test_each_takes_only_its_own_commands(market: Market, other: Contract) -> None:
    buyer = market.party("buyer-1")
    seqs = submit_all(
        [order(market, buyer, "buy", 1, 390, contract=each) for each in (market.contract, other)], now=market.clock.at
    )
    assert drain(market.clock, 2) == 1
    assert [find_result(seq) is None for seq in seqs] == [True, False]
    assert SequencerState.objects.get(shard=1).cursor < seqs[0]
    assert drain(market.clock, 1) == 1


def test_a_bundle_over_two_shards_is_one_batch_in_each(market: Market, other: Contract) -> None:
    buyer = market.party("buyer-1")
    sent = submit_bundle(
        [order(market, buyer, "buy", 1, 390 + i, contract=(market.contract, other)[i % 2]) for i in range(5)],
        now=market.clock.at,
    )
    seqs = [each.seq for each in sent if isinstance(each, Submitted)]
    left = dict(Intake.objects.filter(seq__in=seqs).values_list("seq", "bundle_left"))
    assert [left[seq] for seq in seqs] == [2, 1, 1, 0, 0]
    before = SequencerBatch.objects.count()
    assert [drain(market.clock, shard) for shard in (1, 2)] == [3, 2]
    assert SequencerBatch.objects.count() == before + 2


def test_the_limit_of_open_orders_counts_in_each_shard(
    market: Market, other: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trading_rules, "MAX_OPEN_ORDERS", 2)
    buyer = market.party("buyer-1")
    wanted = [order(market, buyer, "buy", 1, 390, contract=each) for each in (market.contract, other) for _ in range(3)]
    seqs = submit_all(wanted, now=market.clock.at)
    for shard in (1, 2):
        drain(market.clock, shard)
    answers = [find_result(seq) or {} for seq in seqs]
    assert [each.get("code", each["status"]) for each in answers] == [
        "accepted",
        "accepted",
        "too_many_open_orders",
    ] * 2
    assert answers[2]["fields"] == {"open_orders": "2", "maximum": "2"}


def test_what_is_about_a_party_goes_to_every_shard_once(market: Market, other: Contract) -> None:
    buyer = market.party("buyer-1")
    resting = submit_all(
        [order(market, buyer, "buy", 1, 390, contract=each) for each in (market.contract, other)], now=market.clock.at
    )
    switches = submit_switch(buyer.id, 5, actor=ACTOR, now=market.clock.at)
    assert len(switches) == 2
    for shard in (1, 2):
        drain(market.clock, shard)
    assert DeadManSwitch.objects.filter(due_at__isnull=False).count() == 2
    market.clock.at += timedelta(seconds=5)
    assert drain(market.clock, 2) == 1
    assert [status_of(each)[0] for each in resting] == ["open", "cancelled"]
    cancels = submit_to_shards(Submission(IntakeKind.CANCEL_ALL, None, ACTOR, {}, buyer.id), now=market.clock.at)
    for shard in (1, 2):
        drain(market.clock, shard)
    assert [find_result(seq) for seq in cancels] == [
        {"status": "accepted", "cancelled_orders": 0, "order_ids": []},
    ] * 2
    assert [status_of(each)[1] for each in resting] == ["switched_off", "switched_off"]
    check_exchange()
