"""What goes back to a bond or overage hold while its payer has nothing: held as far as it can be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings

from ledger.chart import Role
from settlement.commands.decide_force_majeure import confirm_force_majeure
from settlement.commands.request_force_majeure import RequestForceMajeure, request_force_majeure
from settlement.metering.events import CORRECTION_TYPE
from settlement.models import RunKind, RunState, SettlementJob, SettlementRun, Unheld
from settlement.runs.release import make_release_jobs
from tests.audits import audit, findings
from tests.integration.settlement.test_final_run import sell_and_deliver
from tests.integration.settlement.trading_day import END, START, TradingDay, refusal, requests, usage
from tests.two_operators import FIRST, SECOND, withdraw

BOND, DAMAGES = 1_000_000, 10_500


def drain(day: TradingDay, *codes: str) -> None:
    """Whatever is free is withdrawn."""
    for code in codes:
        free = day.balance(code) - day.held(code)
        withdraw(day.parties[code].id, day.currency_id, free, reference=f"all of {code}", now=day.clock.at)


def retry_served(day: TradingDay) -> None:
    """What was refused was served after all: the damages go back."""
    (result,) = day.report("provider-1", [usage("retry-1", 5_000, retry_of="refused-1")])
    assert result.status == "accepted", result


def void(day: TradingDay, code: str, event: dict[str, Any]) -> None:
    """A party takes an event of its meter back."""
    voided = {"supersedes": event["id"], "why": "never", "replacement": "void"}
    names = {"type": CORRECTION_TYPE, "id": f"void-{event['id']}", "source": f"meter/{code}"}
    (result,) = day.report(code, [event | names | {"data": event["data"] | voided}])
    assert result.status == "accepted", result


def check_published(run: SettlementRun) -> None:
    assert run.state == RunState.PUBLISHED, list(SettlementJob.objects.values_list("step", "state", "error"))
    assert findings(audit()) == {}


@pytest.fixture
def damaged(day: TradingDay) -> TradingDay:
    """The initial run took damages out of the bond; since then neither side has anything free."""
    sell_and_deliver(day)
    day.report("provider-1", [*requests(80_000), refusal(5_000)])
    check_published(day.settle())
    drain(day, "buyer-1", "provider-1")
    return day


def test_damages_given_back_by_a_buyer_without_cash_are_claimed_and_not_held(damaged: TradingDay) -> None:
    retry_served(damaged)
    check_published(damaged.settle(RunKind.FINAL))
    claimed = damaged.balance("provider-1", Role.CLAIM, "buyer-1")
    (missing,) = Unheld.objects.values_list("ref", "micros")
    assert missing[0] == "bond"
    assert 0 < missing[1] <= min(claimed, DAMAGES)
    assert damaged.held("provider-1") == BOND - missing[1]
    damaged.release()
    assert damaged.held("provider-1") == 0
    assert findings(audit()) == {}


def test_one_pair_without_cash_does_not_stall_the_run_of_the_others(day: TradingDay) -> None:
    for provider, buyer, price in (("provider-1", "buyer-1", 420), ("provider-2", "buyer-2", 430)):
        day.sell(provider, 10, price)
        day.buy(buyer, 10, price)
    day.deliver()
    day.report("provider-1", [*requests(80_000), refusal(5_000)])
    day.settle()
    drain(day, "buyer-1", "provider-1")
    retry_served(day)
    check_published(day.settle(RunKind.FINAL))


def test_force_majeure_after_the_initial_run_gives_damages_back_as_a_claim(damaged: TradingDay) -> None:
    asked = request_force_majeure(
        RequestForceMajeure(damaged.parties["provider-1"].pk, START, END, "A flood."), actor=FIRST, now=damaged.clock.at
    )
    confirm_force_majeure(asked.pk, actor=SECOND, now=damaged.clock.at)
    check_published(damaged.settle(RunKind.FINAL))
    assert list(Unheld.objects.values_list("ref", "micros")) == [("bond", DAMAGES)]
    assert damaged.held("provider-1") == BOND - DAMAGES


@override_settings(SETTLEMENT_TRUE_UP_LAG_SECONDS=100 * 86_400)
def test_damages_of_a_still_later_run_come_out_of_what_is_left_of_the_bond(damaged: TradingDay) -> None:
    retry_served(damaged)
    check_published(damaged.settle(RunKind.FINAL))
    (missing,) = Unheld.objects.values_list("micros", flat=True)
    event = usage("retry-1", 5_000, retry_of="refused-1")
    void(damaged, "provider-1", event)
    check_published(damaged.settle(RunKind.TRUE_UP))
    assert damaged.held("provider-1") == BOND - DAMAGES - missing
    make_release_jobs(END + timedelta(days=200))
    damaged.work_off()
    assert damaged.held("provider-1") == 0
    assert findings(audit()) == {}


def test_overage_given_back_by_a_provider_without_cash_is_not_held_again(day: TradingDay) -> None:
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420, overage_permille=500)
    day.deliver()
    day.report_both("buyer-1", "provider-1", requests(120_000))
    day.settle()
    held = day.held("buyer-1")
    drain(day, "buyer-1", "grid-compute", "model-lab", "power-works")  # who has the provider's income
    for code in ("buyer-1", "provider-1"):
        for number in range(20):
            event = usage(f"r{number}", 1_000, at=START + timedelta(seconds=20 * number))
            void(day, code, event)
    check_published(day.settle(RunKind.FINAL))
    ((ref, micros),) = Unheld.objects.values_list("ref", "micros")
    assert ref == "overage"
    assert day.held("buyer-1") > held
    assert micros > 0
    day.release()
    assert day.held("buyer-1") == 0
    assert findings(audit()) == {}
