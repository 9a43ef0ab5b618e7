"""A random hour of trading: whatever is sent in, orders, fills, holds and accounts tell one story."""

from __future__ import annotations

import random

from exchange.commands.cancel_order import CancelOrder, cancel_order
from exchange.errors import OrderNotFound
from exchange.models import Fill, Intake
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.market import ACTOR, NOW, Market

STEPS = 150


def test_a_random_hour_leaves_everything_consistent(market: Market) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    buyers = [market.party(f"buyer-{i}", micros=12_000_000) for i in range(3)]
    for _ in range(STEPS):
        match dice.randrange(6):
            case 0:
                market.offer(dice.randint(1, 30), dice.randint(395, 410))
            case 1 | 2 | 3:
                market.submit_buy(dice.choice(buyers), dice.randint(1, 8), dice.randint(390, 410))
            case 4:
                try:
                    latest = Intake.objects.latest("seq").seq
                    cancel = CancelOrder(dice.choice(buyers).id, dice.randint(1, latest))
                    cancel_order(cancel, actor=ACTOR, now=NOW)
                except OrderNotFound:
                    continue
            case _:
                market.results([])
    market.results([])
    check_exchange()
    market.clock.at = market.contract.gate_close
    market.sweep()
    check_exchange()
    bonds = sum(Fill.objects.values_list("bond", flat=True))
    assert market.cash(market.provider).held == bonds
    assert [market.cash(buyer).held for buyer in buyers] == [0, 0, 0]
