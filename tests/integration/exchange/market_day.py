"""A day of the small market, drawn at random: two shards, every kind of command, and all that happens beside them."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from exchange.commands.decide_request import approve_decision
from exchange.commands.mark_contract_settled import MarkContractSettled, mark_contract_settled
from exchange.commands.qualify_provider import RevokeQualification, revoke_qualification
from exchange.commands.request_decision import RequestDecision, request_decision
from exchange.models import Contract, ContractState, DecisionKind, Fill, IntakeKind, Order, Qualification
from exchange.sequencer.intake import Submission, submit, submit_bundle
from exchange.sequencer.loop import Sequencer
from ledger.errors import DomainError
from ledger.models import Party
from tests.integration.exchange.commands import about, order
from tests.integration.exchange.market import ACTOR, START, Market
from tests.two_operators import deposit, withdraw

ROUNDS = 32
HOUR = timedelta(hours=1)


@dataclass(slots=True)
class MarketDay:
    """Everything happens in rounds; between them the clock moves on, and the sequencers work."""

    market: Market
    draw: random.Random
    traders: list[Party] = field(init=False)
    contracts: list[Contract] = field(init=False)
    rounds: int = 0

    def __post_init__(self) -> None:
        market = self.market
        other = market.seller("provider-2")
        self.traders = [market.provider, other, *(market.party(f"buyer-{i}", micros=30_000_000) for i in range(3))]
        self.contracts = [market.contract]
        self.contracts += [
            market.list_window(START + n * HOUR, shard=1 + n % 2, collar_permille=(0, 12)[n % 2]) for n in (1, 2, 3)
        ]
        self.sweep()

    def run(self) -> None:
        self.open_day()
        for self.rounds in range(1, ROUNDS + 1):
            self.trade()
            self.draw.choice([self.move_money, self.operate, self.operate, self.undo, self.decide])()
            if self.draw.random() < 0.7:
                self.decide()
            self.market.clock.at += timedelta(seconds=self.draw.choice([0, 1, 30, 300]))
            if self.rounds % 4 == 0:
                self.sweep()
        self.deliver()

    def open_day(self) -> None:
        """One of each that no draw is sure to bring: a trade, one busted, one prevented, a poisoned command."""
        provider, _, buyer, *_ = self.traders
        poisoned = Submission(IntakeKind.PLACE_ORDER, self.contracts[0].id, ACTOR, {"side": "buy"}, buyer.id)
        submit(poisoned, now=self.market.clock.at)
        selling = order(self.market, provider, "sell", 3, 420)
        taken = [order(self.market, buyer, "buy", 1, 420) for _ in range(2)]
        submit_bundle(
            [selling, *taken, order(self.market, buyer, "buy", 1, 420, group_id=provider.id)],
            now=self.market.clock.at,
        )
        self.decide()
        self.undo()

    def trade(self) -> None:
        bundle = [self.drawn() for _ in range(self.draw.choice([1, 1, 3, 25]))]
        if len(bundle) > 1:
            submit_bundle(bundle, now=self.market.clock.at)
        else:
            submit(bundle[0], now=self.market.clock.at)

    def drawn(self) -> Submission:
        """An order of any kind, or a command about an earlier one."""
        draw, market, party = self.draw, self.market, self.draw.choice(self.traders)
        contract, price, lots = draw.choice(self.contracts), draw.randint(415, 425), draw.randint(1, 5)
        mine = list(
            Order.objects.filter(party_id=party.id, status="open").values_list("id", "contract_id").order_by("id")
        )
        what = draw.random()
        if mine and what < 0.3:
            order_id, contract_id = draw.choice(mine)
            target: Any = next(each for each in self.contracts if each.id == contract_id)
            if what < 0.15:
                change = {"order_id": order_id, "price_ticks": price, "lots": lots}
                return about(market, IntakeKind.AMEND_ORDER, party, target, **change)
            return about(market, IntakeKind.CANCEL_ORDER, party, target, order_id=order_id)
        if what < 0.31:
            return about(market, IntakeKind.CANCEL_ALL, party, contract)
        if what < 0.33:
            return about(market, IntakeKind.CANCEL_ALL_AFTER, party, seconds=draw.randint(0, 60))
        side = "sell" if party in self.traders[:2] else "buy"
        return order(market, party, side, lots, price, contract=contract, **self.kind_of_order(side))

    def kind_of_order(self, side: str) -> dict[str, Any]:
        draw = self.draw
        expires_at = self.market.clock.at + timedelta(seconds=draw.randint(1, 400))
        kinds: list[dict[str, Any]] = [
            {},
            {},
            {"time_in_force": "ioc"},
            {"time_in_force": "fok"},
            {"time_in_force": "gtd", "expires_at": expires_at.isoformat()},
            {"post_only": draw.choice(["reject", "reprice"])},
            {"group_id": self.traders[0].id, "self_trade": draw.choice(["cancel_oldest", "decrement"])},
        ]
        more = draw.choice(kinds)
        return more | {"overage_permille": draw.choice([0, 100])} if side == "buy" else more

    def move_money(self) -> None:
        party, currency = self.traders[-1], self.market.currency
        move = self.draw.choice([deposit, withdraw])
        move(party.id, currency.id, 1_000_000, reference=f"round {self.rounds}", now=self.market.clock.at)

    def operate(self) -> None:
        """A halt, its end, more capacity, or the right to sell lost."""
        contract, now = self.draw.choice(self.contracts), self.market.clock.at
        kind = self.draw.choice([IntakeKind.HALT, *[IntakeKind.RESUME] * 4])
        submit(Submission(kind, contract.id, ACTOR, {"reason": "drawn"}), now=now)
        if self.rounds == ROUNDS // 2:
            self.market.declare(11_000)
        if self.rounds > ROUNDS * 3 // 4:
            for lost in Qualification.objects.filter(provider=self.traders[1], revoked_at=None):
                revoke_qualification(RevokeQualification(lost.pk, "drawn"), actor=ACTOR, now=now)

    def undo(self) -> None:
        """A trade is busted, or late in the day a contract cancelled or a provider's default declared."""
        fills = Fill.objects.order_by("id").values_list("id", flat=True)
        self.carry_out(DecisionKind.BUST_FILL, str(self.draw.choice(list(fills))))
        if self.rounds > ROUNDS * 3 // 4:
            self.carry_out(DecisionKind.CANCEL_CONTRACT, self.contracts[2].symbol)
        if self.rounds > ROUNDS * 7 // 8:
            self.carry_out(DecisionKind.DEFAULT_PROVIDER, "provider-2")

    def carry_out(self, kind: DecisionKind, subject: str) -> None:
        now = self.market.clock.at
        try:
            decision = request_decision(RequestDecision(kind, subject, "drawn"), actor="one", now=now)
            approve_decision(decision.pk, actor="other", now=now)
        except DomainError:  # it was done before, or comes too late
            return

    def deliver(self) -> None:
        """The rest of the day: gates close, windows pass, and the first contract is settled before the next closes."""
        for contract in self.contracts:
            for at in (contract.gate_close, contract.delivery_start, contract.delivery_end):
                self.market.clock.at = max(at, self.market.clock.at)
                self.trade()
                self.sweep()
            for delivered in Contract.objects.filter(state=ContractState.DELIVERED):
                mark_contract_settled(MarkContractSettled(delivered.id), actor=ACTOR, now=self.market.clock.at)

    def sweep(self) -> None:
        self.market.sweep()
        self.decide()

    def decide(self) -> None:
        """Each shard's sequencer takes over, works off what waits in batches of some size, and goes."""
        for shard in self.draw.sample([1, 2], 2):
            sequencer = Sequencer(self.market.clock, shard, max_batch=self.draw.choice([2, 10, 1_024]))
            sequencer.take_over(threading.Event())
            while sequencer.step():
                pass
            sequencer.let_go()
