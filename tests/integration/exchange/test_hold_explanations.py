"""What the exchange says it holds is what is held, at every moment of a day; and the audit sees when it is not."""

from __future__ import annotations

import random

from exchange.commands.cancel_order import CancelOrder, cancel_order
from exchange.errors import OrderNotFound
from exchange.matching.types import Side
from exchange.models import Contract, ContractState, Fill, Intake, Order
from tests.audits import audit, findings, found_by, tamper
from tests.conftest import DatabaseUrls
from tests.integration.exchange.market import ACTOR, NOW, Market

STEPS = 120
LOOK_EVERY = 30


def test_holds_are_explained_at_every_moment_of_a_random_hour(market: Market) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    buyers = [market.party(f"buyer-{i}", micros=12_000_000) for i in range(3)]
    for step in range(STEPS):
        match dice.randrange(6):
            case 0:
                market.offer(dice.randint(1, 30), dice.randint(395, 410))
            case 1 | 2 | 3:
                overage = dice.choice([0, 0, 1, 333, 1_000])
                market.submit_buy(
                    dice.choice(buyers), dice.randint(1, 8), dice.randint(390, 410), overage_permille=overage
                )
            case 4:
                try:
                    latest = Intake.objects.latest("seq").seq
                    cancel = CancelOrder(dice.choice(buyers).id, dice.randint(1, latest))
                    cancel_order(cancel, actor=ACTOR, now=NOW)
                except OrderNotFound:
                    continue
            case _:
                market.results([])
        if step % LOOK_EVERY == 0:  # also with commands that wait in the line: they hold nothing yet
            assert findings(audit("holds", "exchange.fills")) == {}
    market.results([])
    assert findings(audit()) == {}
    market.clock.at = market.contract.gate_close
    market.sweep()
    assert findings(audit()) == {}
    assert Fill.objects.exists()


def test_bonds_tokens_money_fees_and_overage_are_each_explained(market: Market) -> None:
    buyer = market.party("buyer")
    market.offer(10, 400)
    market.buy(buyer, 4, 400, overage_permille=7)
    market.buy(buyer, 3, 390, overage_permille=7)  # rests
    resting, offered = Order.objects.get(side=Side.BUY, status="open"), Order.objects.get(side=Side.SELL)
    assert (resting.remaining_lots, offered.remaining_lots) == (3, 6)
    assert findings(audit()) == {}


def test_an_order_that_is_not_held_and_a_hold_without_an_order_are_found(
    market: Market, database: DatabaseUrls
) -> None:
    buyer = market.party("buyer")
    market.offer(10, 400)
    market.buy(buyer, 3, 390)
    cash, held = market.cash(buyer), market.cash(buyer).held

    tamper(database, "UPDATE exchange_order SET remaining_lots = 2 WHERE side = 'buy'")
    report = audit("holds")
    assert found_by(report) == {"holds": [f"account {cash.id}"]}
    ((_, told),) = findings(report)["holds"]
    assert told == f"it holds back {held}, explained is {held * 2 // 3} (open orders {held * 2 // 3})"

    tamper(
        database,
        "UPDATE exchange_order SET status = 'cancelled', closed_at = placed_at, remaining_lots = 3 WHERE side = 'buy'",
    )
    assert findings(audit("holds")) == {"holds": [(f"account {cash.id}", f"it holds back {held}, explained is 0")]}


def test_an_order_of_a_party_without_an_account_is_found(market: Market, database: DatabaseUrls) -> None:
    buyer, stranger = market.party("buyer"), market.party("stranger", micros=0)
    market.buy(buyer, 3, 390)
    tamper(database, "UPDATE exchange_order SET party_id = %s", [stranger.id])
    subjects = found_by(audit("holds"))["holds"]
    currency = market.currency.id
    assert subjects == [
        f"account {market.cash(buyer).id}",
        f"missing cash account of party {stranger.id} in asset {currency}",
    ]


def test_a_fill_that_is_not_what_was_posted_is_found(market: Market, database: DatabaseUrls) -> None:
    market.offer(10, 400)
    market.buy(market.party("buyer"), 4, 400)
    assert findings(audit("exchange.fills")) == {}
    tamper(database, "UPDATE exchange_fill SET notional = notional + 1")
    fill = Fill.objects.get().id
    assert found_by(audit()) == {
        "exchange.fills": [f"contract {market.contract.symbol}"],
        "exchange.fill_legs": [f"fill {fill}", f"fill {fill}"],  # the buyer's money, and its own price
    }
    tamper(database, "UPDATE exchange_fill SET notional = notional - 1, tokens = tokens - 1")
    ((_, told),) = findings(audit("exchange.fills"))["exchange.fills"]
    assert "399999 tokens" in told
    assert "400000 tokens due to buyers and 400000 owed" in told


def test_a_fill_whose_figures_changed_is_found_by_itself(market: Market, database: DatabaseUrls) -> None:
    market.offer(10, 400)
    market.buy(market.party("buyer"), 4, 400)
    stranger = market.party("stranger")
    assert findings(audit("exchange.fill_legs")) == {}
    for change, back in (
        ("price_ticks = price_ticks + 1", "price_ticks = price_ticks - 1"),
        ("lots = lots + 1", "lots = lots - 1"),
        ("buyer_fee = buyer_fee + 1", "buyer_fee = buyer_fee - 1"),
        (f"buyer_id = {stranger.id}, provider_id = provider_id", "buyer_id = provider_id"),
    ):
        tamper(database, f"UPDATE exchange_fill SET {change}")
        assert set(found_by(audit("exchange.fill_legs"))) == {"exchange.fill_legs"}, change
        tamper(database, f"UPDATE exchange_fill SET {back}")


def test_a_contract_called_settled_with_money_in_escrow_is_found(market: Market) -> None:
    market.offer(10, 400)
    market.buy(market.party("buyer"), 4, 400)
    Contract.objects.update(state=ContractState.SETTLED)
    report = audit("exchange.settled_contracts", "holds")
    told = findings(report)["exchange.settled_contracts"]
    assert {subject for subject, _ in told} == {f"contract {market.contract.symbol}"}
    assert len(told) == 3  # escrow, the buyer's entitlement, the provider's obligation
    assert "holds" in findings(report)  # nobody answers for the bond any more
