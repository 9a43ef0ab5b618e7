"""A dry run beside a sequencer that stands still: what is due by itself, what waits, and a moment that holds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.utils import InternalError

from exchange.commands.cancel_all_after import CancelAllAfter, cancel_all_after
from exchange.commands.place_order import PlaceOrder
from exchange.commands.send_orders import try_orders
from exchange.dry_run import Trial, reading_one_moment
from exchange.matching.types import Side, TimeInForce
from exchange.models import Contract, Intake, Order
from ledger.models import Party
from tests.integration.exchange.market import ACTOR, NOW, SYMBOL, Market


def tried(market: Market, party: Party, lots: int, price_ticks: int, **more: Any) -> Trial:
    """What placing an order would come to."""
    command = PlaceOrder(party.id, SYMBOL, Side.BUY, price_ticks, lots, **more)
    (trial,) = try_orders([command], party_id=party.id, actor=ACTOR, now=market.clock.at)
    assert isinstance(trial, Trial), trial
    return trial


def gtd(expires_at: datetime) -> dict[str, Any]:
    return {"time_in_force": TimeInForce.GTD, "expires_at": expires_at}


def test_what_has_expired_is_gone_before_the_order_is_decided(market: Market) -> None:
    buyer, other = market.party("buyer-1", micros=1_300_000), market.party("buyer-2")
    market.buy(buyer, 3, 400, **gtd(NOW + timedelta(minutes=1)))
    market.buy(other, 1, 410, **gtd(NOW + timedelta(minutes=1)))
    assert tried(market, buyer, 3, 400).answer["code"] == "insufficient_funds"
    market.clock.at = NOW + timedelta(minutes=1)
    trial = tried(market, buyer, 3, 400)
    assert (trial.answer["order_status"], trial.hold) == ("open", trial.required_hold)
    assert set(Order.objects.values_list("status", flat=True)) == {"open"}
    assert market.buy(buyer, 3, 400)["order_status"] == "open"
    assert set(Order.objects.values_list("status", flat=True)) == {"open", "expired"}


def test_orders_of_whoever_fell_silent_are_gone_too(market: Market) -> None:
    buyer = market.party("buyer-1", micros=1_300_000)
    market.buy(buyer, 3, 400)
    market.results(cancel_all_after(CancelAllAfter(buyer.id, 60), actor=ACTOR, now=NOW))
    assert tried(market, buyer, 3, 400).answer["code"] == "insufficient_funds"
    market.clock.at = NOW + timedelta(minutes=1)
    assert tried(market, buyer, 3, 400).answer["order_status"] == "open"
    assert Order.objects.get().status == "open"


@pytest.mark.parametrize("silent", [True, False])
def test_what_goes_in_another_contract_frees_what_it_held(market: Market, silent: bool) -> None:
    buyer = market.party("buyer-1", micros=1_300_000)
    later = market.list_window(market.contract.delivery_end)
    market.sweep()
    market.buy(buyer, 3, 400, symbol=later.symbol, **({} if silent else gtd(NOW + timedelta(minutes=1))))
    if silent:
        market.results(cancel_all_after(CancelAllAfter(buyer.id, 60), actor=ACTOR, now=NOW))
    assert tried(market, buyer, 3, 400).answer["code"] == "insufficient_funds"
    market.clock.at = NOW + timedelta(minutes=1)
    assert tried(market, buyer, 3, 400).answer["order_status"] == "open"
    assert market.buy(buyer, 3, 400)["order_status"] == "open"


def test_commands_that_wait_do_not_count(market: Market) -> None:
    buyer = market.party("buyer-1")
    market.offer(2, 400)
    market.submit_buy(buyer, 2, 400)
    last = Intake.objects.latest("seq").seq
    assert tried(market, buyer, 2, 400).answer["filled_lots"] == 2
    assert Intake.objects.latest("seq").seq == last


def test_the_moment_that_is_read_cannot_be_written_and_does_not_move(market: Market) -> None:
    with pytest.raises(InternalError, match="read-only"), reading_one_moment():
        Contract.objects.update(shard=2)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        assert cursor.fetchone() == ("read committed",)
    with reading_one_moment(), connection.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        assert cursor.fetchone() == ("repeatable read",)
