"""Contracts that do not run to their end: cancelled while they are delivered, or their provider defaults."""

from __future__ import annotations

from datetime import timedelta

import pytest

from exchange.commands.decide_request import approve_decision
from exchange.commands.request_decision import RequestDecision, request_decision
from exchange.models import Contract, ContractState, DecisionKind, Fill
from ledger.chart import Role
from settlement.calculation import PositionOutcome
from settlement.models import PositionSettlement, RunKind, SettlementJob
from settlement.outcome_record import outcome_from_record
from settlement.runs.calendar import Calendar
from settlement.runs.sweep import sweep
from tests.audits import audit, findings
from tests.integration.settlement.trading_day import END, START, SYMBOL, TradingDay, refusal, requests, usage

INSTANT = START + timedelta(minutes=20)
HOURLY = Calendar(timedelta(hours=1), timedelta(minutes=2), timedelta(hours=2))


@pytest.fixture
def sold(day: TradingDay) -> TradingDay:
    """Ten lots at 4.20, N 420,000, and a bond of 1,000,000."""
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420, overage_permille=100)
    return day


def act(day: TradingDay, kind: DecisionKind, subject: str) -> None:
    decision = request_decision(RequestDecision(kind, subject, "power failure"), actor="user:olga", now=day.clock.at)
    approve_decision(decision.pk, actor="user:otto", now=day.clock.at)
    day.sweep_contracts()


def outcome() -> PositionOutcome:
    return outcome_from_record(PositionSettlement.objects.get(run__kind=RunKind.INITIAL).outcome)


def test_a_default_at_minute_20_of_60_makes_all_that_is_not_delivered_short(sold: TradingDay) -> None:
    day = sold
    before = {code: day.balance(code) for code in ("buyer-1", "provider-1")}
    sold.deliver(INSTANT)
    act(day, DecisionKind.DEFAULT_PROVIDER, "provider-1")
    assert day.held("provider-1") == 1_000_000
    day.deliver()
    # 30,000 before the instant; what is served afterwards is a gift
    served = [usage(f"r{n}", 10_000, at=START + timedelta(minutes=5 * n)) for n in range(3)]
    late = usage("late", 5_000, at=INSTANT + timedelta(minutes=1))
    day.report_both("buyer-1", "provider-1", [*served, late])
    assert day.settle().state == "published"
    found = outcome()
    assert (found.delivered_tokens, found.unused_tokens, found.short_tokens) == (30_000, 0, 70_000)
    assert (found.overage_tokens, found.excess_tokens) == (0, 5_000)
    assert (found.delivered_micros, found.take_or_pay_micros) == (126_000, 0)
    assert (found.refund_short_micros, found.refund_unused_micros) == (294_000, 0)
    damages = 147_000  # half of what the missing tokens cost; the reference price is no higher
    assert found.damages_micros == damages
    assert day.balance("buyer-1") == before["buyer-1"] + 294_000 + damages
    assert day.balance("provider-1") == before["provider-1"] - damages  # all of its income goes to beneficiaries
    shares = sum(day.balance(code) for code in ("grid-compute", "model-lab", "power-works"))
    assert shares == 126_000 - 126_000 * 3_000 // 1_000_000
    assert day.left_over() == []
    assert Contract.objects.get(symbol=SYMBOL).state == ContractState.SETTLED
    assert PositionSettlement.objects.get().evidence["ended_by"] == "default"
    assert PositionSettlement.objects.get().evidence["ended_at"] == "2026-12-01T14:20:00+00:00"
    assert findings(audit()) == {}
    day.clock.at = END + timedelta(hours=3)
    day.settle(RunKind.FINAL)
    day.release()
    assert day.held("provider-1") == 0
    assert findings(audit()) == {}


def test_a_default_before_the_gate_makes_every_position_short_and_damages_end_at_the_bond(sold: TradingDay) -> None:
    day = sold
    act(day, DecisionKind.DEFAULT_PROVIDER, "provider-1")
    before = day.balance("buyer-1")
    bond = 1_000_000
    assert day.held("provider-1") == bond
    day.deliver()
    Contract.objects.filter(symbol=SYMBOL).update(reference_price_micros=100_000_000)  # 100 a million: damages 9.79
    day.settle()
    found = outcome()
    assert (found.delivered_tokens, found.short_tokens, found.damages_micros) == (0, 100_000, bond)
    assert day.balance("buyer-1") == before + 420_000 + bond
    assert day.left_over() == []
    assert findings(audit()) == {}


def test_other_providers_are_settled_as_ever(sold: TradingDay) -> None:
    day = sold
    day.sell("provider-2", 2, 430)
    day.buy("buyer-2", 2, 430)
    day.deliver(INSTANT)
    act(day, DecisionKind.DEFAULT_PROVIDER, "provider-1")
    day.deliver()
    day.settle()
    by_provider = {row.provider_id: outcome_from_record(row.outcome) for row in PositionSettlement.objects.all()}
    assert by_provider[day.parties["provider-1"].id].short_tokens == 100_000
    assert by_provider[day.parties["provider-2"].id].unused_tokens == 20_000
    assert findings(audit()) == {}


def test_a_default_after_delivery_changes_nothing_of_it(sold: TradingDay) -> None:
    sold.deliver()
    act(sold, DecisionKind.DEFAULT_PROVIDER, "provider-1")
    sold.settle()
    found = outcome()
    assert (found.short_tokens, found.unused_tokens) == (0, 100_000)
    assert "ended_by" not in PositionSettlement.objects.get().evidence
    assert findings(audit()) == {}


def test_a_contract_cancelled_during_delivery_refunds_the_rest_without_damages(sold: TradingDay) -> None:
    day = sold
    before = {code: day.balance(code) for code in ("buyer-1", "provider-1")}
    day.deliver(INSTANT)
    act(day, DecisionKind.CANCEL_CONTRACT, SYMBOL)
    day.deliver()
    assert Contract.objects.get(symbol=SYMBOL).state == ContractState.CANCELLED
    day.report_both("buyer-1", "provider-1", [*requests(40_000, each=10_000), refusal(5_000)])
    day.clock.at = END + timedelta(minutes=2)
    swept = sweep(day.clock.at, ring=lambda job: None, calendar=HOURLY)
    assert len(swept.runs) == 1  # it is due like any delivered contract
    day.work_off()
    found = outcome()
    assert (found.delivered_tokens, found.unused_tokens, found.short_tokens) == (40_000, 0, 60_000)
    assert (found.refund_short_micros, found.damages_micros, found.take_or_pay_micros) == (252_000, 0, 0)
    assert day.balance("buyer-1") == before["buyer-1"] + 252_000
    assert day.left_over() == []
    contract = Contract.objects.get(symbol=SYMBOL)
    assert (contract.state, contract.cancelled_at) == (ContractState.SETTLED, INSTANT)
    assert PositionSettlement.objects.get().evidence["ended_by"] == "cancellation"
    assert findings(audit()) == {}
    day.clock.at = END + timedelta(hours=3)
    day.settle(RunKind.FINAL)
    day.release()
    assert (day.held("provider-1"), day.held("buyer-1")) == (0, 0)
    assert findings(audit()) == {}


def test_whichever_came_first_ended_it(sold: TradingDay) -> None:
    sold.deliver(INSTANT)
    act(sold, DecisionKind.CANCEL_CONTRACT, SYMBOL)
    sold.clock.at = INSTANT + timedelta(minutes=10)
    act(sold, DecisionKind.DEFAULT_PROVIDER, "provider-1")
    sold.deliver()
    sold.settle()
    assert (outcome().short_tokens, outcome().damages_micros) == (100_000, 0)


def test_a_contract_cancelled_before_delivery_has_nothing_to_settle(sold: TradingDay) -> None:
    day = sold
    act(day, DecisionKind.CANCEL_CONTRACT, SYMBOL)
    assert day.left_over() == []
    assert {day.balance(code) for code in ("buyer-1", "provider-1")} == {100_000_000}
    day.deliver()
    assert day.settle().jobs.count() == 0
    assert not SettlementJob.objects.exists()
    assert Contract.objects.get(symbol=SYMBOL).state == ContractState.CANCELLED
    assert sweep(day.clock.at + timedelta(hours=1), ring=lambda job: None, calendar=HOURLY).runs == ()
    assert findings(audit()) == {}


def test_a_busted_trade_is_not_settled_and_does_not_count_as_held(sold: TradingDay) -> None:
    day = sold
    day.sell("provider-1", 5, 430)
    day.buy("buyer-1", 5, 430)
    act(day, DecisionKind.BUST_FILL, str(Fill.objects.latest("id").id))
    day.deliver()
    day.settle()
    (position,) = PositionSettlement.objects.all()
    assert (position.evidence["tokens"], position.evidence["notional_micros"]) == ("100000", "420000")
    assert findings(audit()) == {}
    day.clock.at = END + timedelta(hours=3)
    day.settle(RunKind.FINAL)
    assert day.balance("house", Role.FEES) > 0
    assert findings(audit()) == {}
