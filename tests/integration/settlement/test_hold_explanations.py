"""Bonds and overage holds are explained at every step from delivery to their release; afterwards none is left."""

from __future__ import annotations

import random
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest

from ledger.chart import AccountKey, Role
from ledger.models import Account
from ledger.restrictions import freeze_account
from settlement.commands.decide_ruling import confirm_ruling
from settlement.commands.propose_ruling import ProposeRuling, propose_ruling
from settlement.metering.records import Ruling
from settlement.models import RunKind, RunState, SettlementJob
from settlement.runs import settle_shard
from settlement.runs.jobs import Claim, holding
from settlement.runs.release import make_release_jobs
from tests.audits import audit, findings, found_by, tamper
from tests.conftest import DatabaseUrls
from tests.integration.settlement.trading_day import END, START, TradingDay, refusal, requests
from tests.integration.settlement.usage_rows import UsageRows, only_case, reconcile
from tests.two_operators import FIRST, SECOND, withdraw

PAIRS = (("buyer-1", "provider-1"), ("buyer-2", "provider-1"), ("buyer-2", "provider-2"))


def trade_at_random(day: TradingDay, dice: random.Random) -> None:
    for provider in ("provider-1", "provider-2"):
        day.sell(provider, dice.randint(5, 30), dice.randint(400, 420))
    for buyer in ("buyer-1", "buyer-2", "buyer-3"):
        for _ in range(dice.randint(0, 3)):
            day.buy(
                buyer,
                dice.randint(1, 9),
                dice.randint(395, 425),
                overage_permille=dice.choice([0, 1, 150, 1_000]),
            )


def use_at_random(day: TradingDay, dice: random.Random, name: str) -> None:
    """Some use too little, some too much, some are refused; both sides report the same."""
    for number, (buyer, provider) in enumerate(PAIRS):
        events = requests(dice.choice([0, 20_000, 90_000, 250_000]), buyer=buyer, provider=provider)
        if dice.random() < 0.5:
            events.append(refusal(dice.randint(1_500, 60_000), buyer=buyer, provider=provider))
        for event in events:
            event["id"] = event["subject"] = event["data"]["request_id"] = f"{name}-{number}-{event['id']}"
        if events:
            day.report_both(buyer, provider, events)


def test_a_random_day_is_explained_from_the_first_order_to_the_final_run(day: TradingDay) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    trade_at_random(day, dice)
    assert findings(audit()) == {}
    day.deliver(START)  # the gate is closed
    assert findings(audit()) == {}
    day.deliver()
    use_at_random(day, dice, "in-time")
    assert findings(audit()) == {}
    day.settle()
    assert findings(audit()) == {}
    use_at_random(day, dice, "late")
    for code in ("buyer-1", "provider-1"):  # who cannot pay back owes, and somebody claims
        free = day.balance(code) - day.held(code)
        withdraw(day.parties[code].id, day.currency_id, free, reference="all", now=day.clock.at)
    assert findings(audit()) == {}
    final = day.settle(RunKind.FINAL)
    assert final.state == RunState.PUBLISHED
    assert findings(audit()) == {}
    day.release()
    assert findings(audit()) == {}
    assert [day.held(code) for code in ("buyer-1", "buyer-2", "provider-1", "provider-2")] == [0, 0, 0, 0]


@pytest.mark.parametrize("kind", [RunKind.INITIAL, RunKind.FINAL])
def test_a_run_is_explained_before_and_after_and_when_its_holds_are_free(
    day: TradingDay, monkeypatch: pytest.MonkeyPatch, kind: RunKind
) -> None:
    for buyer, provider in (PAIRS[0], PAIRS[2]):
        day.sell(provider, 10, 420)
        day.buy(buyer, 10, 420, overage_permille=200)
    day.deliver()
    day.report_both(*PAIRS[0], [*requests(80_000), refusal(5_000)])
    day.report_both(*PAIRS[2], requests(115_000, buyer=PAIRS[2][0], provider=PAIRS[2][1]))
    if kind is RunKind.FINAL:
        day.settle()
    looks = []

    def look_and_hold(claim: Claim) -> AbstractContextManager[SettlementJob]:
        looks.append(findings(audit("holds", "settlement.debts", "exchange.fills")))
        return holding(claim)

    monkeypatch.setattr(settle_shard, "holding", look_and_hold)
    assert day.settle(kind).state == RunState.PUBLISHED
    assert looks == [{}]  # one transaction
    assert findings(audit()) == {}
    day.release()
    assert findings(audit()) == {}


def test_a_frozen_provider_pays_damages_out_of_its_bond_and_all_is_explained(day: TradingDay) -> None:
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    day.report_both("buyer-1", "provider-1", [*requests(80_000), refusal(5_000)])
    cash = AccountKey(day.parties["provider-1"].id, day.currency_id, Role.CASH)
    freeze_account(cash, reason="an inquiry", actor="op", now=day.clock.at)
    for kind in (RunKind.INITIAL, RunKind.FINAL):
        assert day.settle(kind).state == RunState.PUBLISHED
        assert findings(audit()) == {}
    day.release()
    assert findings(audit()) == {}


def test_a_bond_that_was_not_released_is_found(day: TradingDay, database: DatabaseUrls) -> None:
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    day.settle()
    day.settle(RunKind.FINAL)
    make_release_jobs(END + timedelta(days=1))
    assert findings(audit("holds")) == {}
    tamper(database, "UPDATE settlement_settlementjob SET state = 'done' WHERE step = 'release'")  # nothing was posted
    account = Account.objects.get(party=day.parties["provider-1"], role=Role.CASH)
    assert findings(audit("holds")) == {
        "holds": [(f"account {account.id}", f"it holds back {account.held}, explained is 0")]
    }


def test_damages_that_were_never_taken_out_of_a_bond_are_found(day: TradingDay, database: DatabaseUrls) -> None:
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    day.report_both("buyer-1", "provider-1", [*requests(80_000), refusal(5_000)])
    day.settle()
    changed = "jsonb_set(outcome, '{damages_micros}', '\"1\"')"
    tamper(database, f"UPDATE settlement_positionsettlement SET outcome = {changed}")
    account = Account.objects.get(party=day.parties["provider-1"], role=Role.CASH)
    assert found_by(audit("holds")) == {"holds": [f"account {account.id}"]}


def test_a_debt_that_nobody_claims_is_found(day: TradingDay, database: DatabaseUrls) -> None:
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    day.settle()
    free = day.balance("buyer-1") - day.held("buyer-1")
    withdraw(day.parties["buyer-1"].id, day.currency_id, free, reference="all", now=day.clock.at)
    day.report_both("buyer-1", "provider-1", requests(100_000))
    day.settle(RunKind.FINAL)
    assert day.balance("buyer-1", Role.DEBT) < 0
    assert findings(audit()) == {}
    tamper(database, "UPDATE ledger_account SET balance = balance + 1 WHERE role = 'debt'")
    assert found_by(audit("settlement.debts")) == {"settlement.debts": ["party buyer-1"]}


def test_a_bond_stays_held_while_a_case_is_open(day: TradingDay) -> None:
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    day.clock.at = END + timedelta(hours=1)
    UsageRows(day).both("far", 10_000, 2_000)
    reconcile(day)
    day.settle()
    day.settle(RunKind.FINAL)
    day.release()
    assert day.held("provider-1") == 1_000_000
    case = only_case()
    propose_ruling(ProposeRuling(case.pk, Ruling.MINIMUM, "Nobody proves more."), actor=FIRST, now=day.clock.at)
    day.release()
    assert day.held("provider-1") == 1_000_000
    confirm_ruling(case.pk, actor=SECOND, now=day.clock.at)
    day.release()
    assert day.held("provider-1") == 0
    assert findings(audit()) == {}
