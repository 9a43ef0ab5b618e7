"""Runs of several currencies: neither what they are called by nor a failure of one gets in another's way."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.db import transaction

from ledger.chart import AccountKey, Role
from ledger.drafts import Leg, TransactionDraft
from ledger.journal import post
from ledger.models import Account
from ledger.parties.commands import register_currency
from settlement.models import RunKind, RunState, SettlementRun
from settlement.runs import sweep as sweeping
from settlement.runs.close import close_run
from settlement.runs.create import create_run
from settlement.runs.sweep import sweep
from tests.integration.settlement.trading_day import ACTOR, END, NOW, START, TradingDay
from tests.two_operators import deposit


def test_a_debtor_in_two_currencies_pays_its_creditor_in_both(day: TradingDay) -> None:
    """Runs of two currencies over the same period have the same key."""
    usd = register_currency("USD", actor=ACTOR, now=NOW).pk
    buyer, provider = day.parties["buyer-1"].pk, day.parties["provider-1"].pk
    day.deliver()
    for currency in (day.currency_id, usd):
        deposit(buyer, currency, 100, reference=f"more of {currency}", now=day.clock.at)
        owed = 50 + currency
        legs = (
            Leg(AccountKey(buyer, currency, Role.DEBT), -owed),
            Leg(AccountKey(provider, currency, Role.CLAIM, "buyer-1"), owed),
        )
        with transaction.atomic():
            draft = TransactionDraft("adjustment", "settlement", f"owed/{currency}", START, legs)
            post([draft], actor=ACTOR, now=day.clock.at)
    for code in ("CNY", "USD"):
        create_run(code, START, END, RunKind.INITIAL, actor=ACTOR, now=day.clock.at)
        sweep(day.clock.at, ring=lambda _: None)
        day.work_off()
    assert set(SettlementRun.objects.values_list("state", flat=True)) == {RunState.PUBLISHED}
    assert not Account.objects.filter(role__in=[Role.DEBT, Role.CLAIM]).exclude(balance=0).exists()


def test_a_run_that_cannot_be_closed_holds_up_no_other(
    day: TradingDay, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    register_currency("USD", actor=ACTOR, now=NOW)
    day.deliver()
    stuck, other = (
        create_run(code, START, END, RunKind.INITIAL, actor=ACTOR, now=day.clock.at) for code in ("CNY", "USD")
    )

    def close_other(run_id: int, *, now: datetime) -> list[int]:
        if run_id == stuck.pk:
            raise RuntimeError("no")
        return close_run(run_id, now=now)

    monkeypatch.setattr(sweeping, "close_run", close_other)
    sweep(day.clock.at, ring=lambda _: None)
    assert f"run {stuck.pk} could not be moved on" in caplog.text
    other.refresh_from_db()
    assert other.state != RunState.OPEN
