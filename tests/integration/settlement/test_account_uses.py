"""An account that a settlement will have to move is not closed."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from django.db import transaction

from exchange.commands.decide_request import approve_decision
from exchange.commands.request_decision import RequestDecision, request_decision
from exchange.models import Contract, ContractState, DecisionKind
from ledger.chart import AccountKey, Role
from ledger.drafts import Leg, TransactionDraft
from ledger.errors import AccountNeeded
from ledger.journal import post
from ledger.models import Account
from ledger.restrictions import close_account
from ledger.selectors.parties import get_house_id
from settlement.commands.set_share_schedule import SetShareSchedule, set_share_schedule
from settlement.models import RunKind
from tests.audits import audit, findings
from tests.integration.settlement import trading_day
from tests.integration.settlement.trading_day import (
    ACTOR,
    CODE,
    END,
    SHARES,
    SYMBOL,
    TradingDay,
    requests,
)
from tests.two_operators import withdraw


def cash(day: TradingDay, code: str) -> AccountKey:
    return AccountKey(day.parties[code].id, day.currency_id, Role.CASH)


def pay_out(day: TradingDay, code: str) -> None:
    free = day.balance(code) - day.held(code)
    if free:
        reference = f"all of {code}, {day.clock.at}"
        withdraw(day.parties[code].id, day.currency_id, free, reference=reference, now=day.clock.at)


def close(day: TradingDay, key: AccountKey) -> None:
    close_account(key, reason="Its owner leaves.", actor=ACTOR, now=day.clock.at)


def refused(day: TradingDay, key: AccountKey, use: str) -> None:
    with pytest.raises(AccountNeeded) as refusal:
        close(day, key)
    assert refusal.value.fields["use"] == use, refusal.value.message


@pytest.mark.usefixtures("database")
def test_what_the_final_run_may_move_stays_open_until_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trading_day, "TERMS", dataclasses.replace(trading_day.TERMS, damages_cap_permille=0))  # no bond
    day = TradingDay()
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    day.report_both("buyer-1", "provider-1", requests(40_000, each=10_000))
    day.settle()
    assert Contract.objects.get(symbol=SYMBOL).state == ContractState.SETTLED
    keys = [
        AccountKey(get_house_id(), day.currency_id, Role.ESCROW, SYMBOL),
        AccountKey(day.parties["buyer-1"].id, day.contract.asset_id, Role.ENTITLEMENT),
        AccountKey(day.parties["provider-1"].id, day.contract.asset_id, Role.OBLIGATION),
    ]
    for code in ("buyer-1", "provider-1", "buyer-2"):
        pay_out(day, code)
        assert day.held(code) == 0
    close(day, cash(day, "buyer-2"))  # it never traded
    everything = [*keys, cash(day, "buyer-1"), cash(day, "provider-1")]
    for key in everything:
        refused(day, key, "settlement.final_run")
    day.clock.at = END + timedelta(hours=3)
    day.report_both("buyer-1", "provider-1", [event | {"id": f"late {event['id']}"} for event in requests(10_000)])
    day.settle(RunKind.FINAL)
    assert findings(audit()) == {}
    for key in keys:
        refused(day, key, "settlement.final_run")  # it can still be disputed
    day.release()
    for key in keys:
        close(day, key)
    for code in ("buyer-1", "provider-1"):
        pay_out(day, code)
        close(day, cash(day, code))
    assert findings(audit()) == {}


def test_whoever_owes_or_is_owed_from_a_settlement_keeps_its_cash(day: TradingDay) -> None:
    key = cash(day, "buyer-2")
    claim = key._replace(role=Role.CLAIM, qualifier="provider-1")
    pay_out(day, "buyer-2")
    owed(day, claim, key._replace(party_id=day.parties["provider-1"].id, role=Role.DEBT))
    refused(day, key, "settlement.debts")
    pay_out(day, "provider-1")
    refused(day, cash(day, "provider-1"), "settlement.debts")


def owed(day: TradingDay, claim: AccountKey, debt: AccountKey) -> None:
    """As a final run leaves it."""
    draft = TransactionDraft("adjustment", ACTOR, "owed", day.clock.at, (Leg(claim, 7), Leg(debt, -7)))
    with transaction.atomic():
        post([draft], actor=ACTOR, now=day.clock.at)


def test_whoever_has_a_share_of_somebodys_income_keeps_its_cash(day: TradingDay) -> None:
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    day.report_both("buyer-1", "provider-1", requests(40_000, each=10_000))
    day.settle()
    key = cash(day, "power-works")
    pay_out(day, "power-works")
    refused(day, key, "settlement.shares")
    shares = SHARES | {"power": {"ppm": 100_000, "party": "model-lab"}}
    for code in ("provider-1", "provider-2"):
        set_share_schedule(SetShareSchedule(day.parties[code].id, CODE, shares), actor=ACTOR, now=day.clock.at)
    refused(day, key, "settlement.shares")  # of what the final run changes
    day.clock.at = END + timedelta(hours=3)
    day.settle(RunKind.FINAL)
    day.release()
    close(day, key)
    assert Account.objects.get(party=day.parties["power-works"], role=Role.CASH).closed


def test_a_provider_in_default_is_settled_to_the_end_and_then_closed(day: TradingDay) -> None:
    """Frozen cash takes what is due and pays out of the bond."""
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420, overage_permille=100)
    asked = request_decision(
        RequestDecision(DecisionKind.DEFAULT_PROVIDER, "provider-1", "power failure"), actor="one", now=day.clock.at
    )
    approve_decision(asked.pk, actor="other", now=day.clock.at)
    day.deliver()
    day.settle()
    day.clock.at = END + timedelta(hours=3)
    assert day.settle(RunKind.FINAL).state == "published"
    day.release()
    assert (day.held("provider-1"), day.held("buyer-1"), day.left_over()) == (0, 0, [])
    assert Account.objects.get(party=day.parties["provider-1"], role=Role.CASH).frozen
    assert findings(audit()) == {}
