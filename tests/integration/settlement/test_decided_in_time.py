"""What operators decide counts for the runs that are made after it, in all their shards, and for no dispute's run."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command

from ledger.chart import Role
from settlement.commands.decide_force_majeure import confirm_force_majeure
from settlement.commands.decide_ruling import confirm_ruling
from settlement.commands.propose_ruling import ProposeRuling, propose_ruling
from settlement.commands.request_force_majeure import RequestForceMajeure, request_force_majeure
from settlement.market import load_contracts
from settlement.metering.pair_rules import load_rules
from settlement.metering.records import Ruling
from settlement.models import JobStep, PositionSettlement, RunKind, SettlementJob, SettlementRun
from settlement.runs import shards
from settlement.runs.create import create_run
from settlement.runs.sweep import sweep
from settlement.runs.work import run_job
from tests.audits import audit, findings
from tests.conftest import DatabaseUrls
from tests.integration.settlement.disputed_day import DisputedDay, disputed_day, give_deadline
from tests.integration.settlement.test_final_run import sell_and_deliver
from tests.integration.settlement.trading_day import ACTOR, END, START, SYMBOL, TradingDay, refusal, usage
from tests.integration.settlement.usage_rows import UsageRows, only_case, reconcile
from tests.two_operators import FIRST, SECOND

HOUR = timedelta(hours=1)


def confirm_flood(day: TradingDay) -> None:
    provider_id = day.parties["provider-1"].pk
    asked = request_force_majeure(
        RequestForceMajeure(provider_id, START, START + 2 * HOUR, "A flood."), actor=FIRST, now=day.clock.at
    )
    confirm_force_majeure(asked.pk, actor=SECOND, now=day.clock.at)


def settle_disputes(market: DisputedDay) -> SettlementRun:
    market.day.clock.at = market.now
    for _ in range(2):
        sweep(market.now, ring=lambda _: None)
        market.day.work_off()
    return SettlementRun.objects.get(kind=RunKind.DISPUTED_FINAL)


def rule_for_provider(day: TradingDay) -> None:
    case = only_case()
    propose_ruling(ProposeRuling(case.pk, Ruling.PROVIDER, "Its log is whole."), actor=FIRST, now=day.clock.at)
    confirm_ruling(case.pk, actor=SECOND, now=day.clock.at)


@pytest.fixture
def differing(day: TradingDay) -> TradingDay:
    """Settled at first while the meters of both sides differ on one request."""
    sell_and_deliver(day)
    day.clock.at = END + HOUR
    UsageRows(day).both("far", 10_000, 2_000)
    reconcile(day)
    day.settle()
    return day


@pytest.mark.parametrize("ruled", [False, True])
def test_the_run_of_a_dispute_frees_nothing_that_another_case_keeps_back(
    differing: TradingDay, database: DatabaseUrls, ruled: bool
) -> None:
    initial = SettlementRun.objects.get()
    market = DisputedDay(differing, database, initial, give_deadline(initial, database))
    kept, had = market.suspense(), differing.balance("buyer-1")
    assert kept > 0
    differing.clock.at += HOUR
    if ruled:
        rule_for_provider(differing)
    market.decide(market.open(kind="take_or_pay", micros=10_000), 10_000)
    run = settle_disputes(market)
    assert (market.suspense(), differing.balance("buyer-1")) == (kept, had + 10_000)
    before, after = PositionSettlement.objects.order_by("run_id")
    assert (after.run_id, after.outcome) == (run.pk, before.outcome)
    assert (after.evidence, after.metering) == (before.evidence, before.metering)
    call_command("recompute_run", run.pk)
    assert findings(audit()) == {}
    differing.settle(RunKind.FINAL)
    assert market.suspense() == 0
    assert findings(audit()) == {}


def test_the_run_of_a_dispute_excuses_nothing_that_was_excused_after_the_run_before(
    day: TradingDay, database: DatabaseUrls
) -> None:
    market = disputed_day(day, database)
    day.clock.at += HOUR
    confirm_flood(day)
    had = day.balance("buyer-1")
    market.decide(market.open(kind="take_or_pay", micros=10_000), 10_000)
    settle_disputes(market)
    assert day.balance("buyer-1") == had + 10_000
    day.clock.at += 2 * HOUR
    day.settle(RunKind.FINAL)
    assert day.balance("buyer-1") == had + 10_000 - 10_500  # the damages, now that a run may look again
    assert day.balance("house", Role.SUSPENSE, SYMBOL) == 0


def test_what_is_decided_between_two_shards_counts_for_neither(
    day: TradingDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "MAX_POSITIONS", 0)
    later = day.list_window(END)
    day.sweep_contracts()
    for start, symbol in ((START, SYMBOL), (END, later.symbol)):
        day.sell("provider-1", 10, 420, start=start)
        day.buy("buyer-1", 10, 420, symbol=symbol)
    day.deliver(END + HOUR)
    at = END + timedelta(minutes=5)
    refused = usage("refused-2", 3_000, at=at, refused="capacity", symbol=later.symbol)
    assert [result.status for result in day.report("provider-1", [refusal(5_000), refused])] == ["accepted"] * 2
    run = create_run("CNY", START, END + HOUR, RunKind.INITIAL, actor=ACTOR, now=day.clock.at)
    first = SettlementJob.objects.filter(run=run, step=JobStep.SETTLE).order_by("subject_id").first()
    assert first is not None
    run_job(first.pk, owner="tests", now=day.clock.at)
    day.clock.at += HOUR
    confirm_flood(day)
    day.work_off()
    damages = [each.outcome["damages_micros"] for each in PositionSettlement.objects.filter(run=run)]
    assert len(damages) == 2
    assert "0" not in damages


def test_rulings_count_from_their_confirmation_on(differing: TradingDay) -> None:
    contract = load_contracts([differing.contract.pk])[differing.contract.pk]
    pair = (differing.parties["buyer-1"].pk, differing.parties["provider-1"].pk)
    before = differing.clock.at
    differing.clock.at += HOUR
    rule_for_provider(differing)
    assert not load_rules(contract, as_of=before).of_pair(*pair).rulings
    for moment in (differing.clock.at, None):
        assert load_rules(contract, as_of=moment).of_pair(*pair).rulings
