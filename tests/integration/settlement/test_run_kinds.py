"""Indicative, initial, final and true-up by a product's own calendar; what each reads, posts and leaves."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from exchange.terms import MakeUpTerms
from ledger.chart import Role
from ledger.models import Transaction
from settlement.commands.set_settlement_calendar import SetSettlementCalendar, set_settlement_calendar
from settlement.models import (
    EventKind,
    FrozenInput,
    JobStep,
    MakeUpCredit,
    MakeUpUse,
    PositionSettlement,
    RunContract,
    RunKind,
    RunState,
    SettlementJob,
    SettlementLine,
    SettlementRun,
    Statement,
)
from settlement.runs import shards
from settlement.runs.create import create_run
from settlement.runs.figures import settle
from settlement.runs.frozen import frozen_bytes, frozen_digest, read_frozen
from settlement.runs.jobs import MAX_ATTEMPTS, claim_job, due_jobs
from settlement.runs.sweep import sweep
from settlement.runs.work import run_job
from tests.audits import audit, findings
from tests.integration.settlement import trading_day
from tests.integration.settlement.test_worked_examples import OPENING, check_statements, lines_of
from tests.integration.settlement.trading_day import ACTOR, CODE, END, NOW, START, SYMBOL, TradingDay, refusal, requests
from tests.integration.settlement.usage_rows import PROVIDER, UsageRows
from tests.two_operators import FIRST

HOUR = timedelta(hours=1)


def sell_and_deliver(day: TradingDay) -> None:
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()


@pytest.fixture
def rows(day: TradingDay) -> UsageRows:
    """Once the contract of the day, with a position, can be settled."""
    sell_and_deliver(day)
    day.clock.at = END + HOUR
    return UsageRows(day)


def outcome(run: SettlementRun) -> dict[str, Any]:
    found: dict[str, Any] = PositionSettlement.objects.get(run=run).outcome
    return found


def test_an_indicative_run_says_what_the_initial_one_will_and_moves_nothing(day: TradingDay) -> None:
    sell_and_deliver(day)
    day.report_both("buyer-1", "provider-1", [*requests(80_000), refusal(5_000)])
    before = Transaction.objects.count()
    indicative = day.settle(RunKind.INDICATIVE)
    assert indicative.state == RunState.PUBLISHED
    assert (indicative.value_date, indicative.dispute_until) == (None, None)
    assert Transaction.objects.count() == before
    statements = Statement.objects.filter(run=indicative)
    assert set(statements.values_list("sequence", flat=True)) == {None}
    assert set(SettlementLine.objects.filter(run_id=indicative.pk).values_list("reference", flat=True)) == {""}

    initial = day.settle()
    assert outcome(initial) == outcome(indicative)
    told = ("kind", "amount", "value", "cumulative", "exact")
    for code in ("buyer-1", "provider-1", "house"):  # who never had an account gets no statement before it has one
        first, second = (
            [{name: line[name] for name in told} for line in lines_of(run, day.parties[code])]
            for run in (indicative, initial)
        )
        assert first == second
    assert set(Statement.objects.filter(run=initial).values_list("sequence", flat=True)) == {1}
    check_statements(initial)
    assert findings(audit()) == {}


def test_the_calendar_of_a_product_makes_all_its_runs_when_they_are_due(day: TradingDay) -> None:
    own = SetSettlementCalendar(
        product_code=CODE,
        period_minutes=120,
        indicative_lag_minutes=5,
        initial_lag_minutes=30,
        final_lag_minutes=60,
        true_up_lag_minutes=120,
        dispute_minutes=10,
    )
    set_settlement_calendar(own, actor=FIRST, now=NOW)
    sell_and_deliver(day)
    day.report_both("buyer-1", "provider-1", requests(80_000))
    period_end = END + HOUR  # periods of two hours

    def swept(minutes: int) -> list[str]:
        day.clock.at = period_end + timedelta(minutes=minutes)
        made = sweep(day.clock.at, ring=lambda job: None).runs
        day.work_off()
        return [SettlementRun.objects.select_related("product").get(pk=run).key for run in made]

    key = f"{CODE}/20261201T1400Z/120"
    assert swept(4) == []
    assert swept(5) == [f"{key}/indicative"]
    assert swept(29) == []
    assert swept(30) == [f"{key}/initial"]
    assert swept(60) == [f"{key}/final"]
    late = [event | {"id": f"late-{event['id']}"} for event in requests(5_000)]
    for event in late:
        event["data"] = event["data"] | {"request_id": f"late-{event['data']['request_id']}"}
    day.report_both("buyer-1", "provider-1", late)  # intake ends with the true-up
    assert swept(119) == []
    assert not SettlementJob.objects.filter(step=JobStep.RELEASE).exists()
    assert swept(120) == [f"{key}/true_up"]
    (told,) = day.report("provider-1", [late[0] | {"id": "after all"}])
    assert told.code == "after_final_run"
    assert outcome(SettlementRun.objects.get(kind=RunKind.TRUE_UP))["delivered_tokens"] == "85000"
    assert day.held("provider-1") > 0
    assert swept(129) == []
    assert day.held("provider-1") > 0
    assert swept(130) == []
    assert day.held("provider-1") == 0
    for run in SettlementRun.objects.exclude(kind=RunKind.INDICATIVE):
        assert run.dispute_until is not None
        check_statements(run)
    assert day.left_over() == []
    assert findings(audit()) == {}


def test_a_run_reads_what_was_there_when_it_was_made_and_keeps_it(day: TradingDay, rows: UsageRows) -> None:
    rows.both("in time", 1_000, 1_000)
    run = create_run("CNY", START, END, RunKind.INITIAL, actor=ACTOR, now=day.clock.at)
    rows.both("late", 500, 500)
    rows.watermark("meter/buyer-1")
    day.work_off()
    kept = FrozenInput.objects.get(run=run)
    assert frozen_digest(bytes(kept.content)) == bytes(kept.digest)
    frozen = read_frozen(bytes(kept.content))
    assert frozen_bytes(frozen) == bytes(kept.content)
    assert (frozen.usage_through, frozen.positions[0].usage.events, frozen.watermarks) == (2, 2, ())
    assert outcome(run)["delivered_tokens"] == "4000"
    assert settle(frozen, {}).positions[0].outcome.delivered_tokens == 0  # usage is the only thing it does not hold
    final = day.settle(RunKind.FINAL)
    assert outcome(final)["delivered_tokens"] == "6000"
    assert bytes(final.input_digest or b"") != bytes(run.input_digest or b"")


def test_what_is_in_dispute_between_meters_is_suspended_and_freed_by_the_final_run(
    day: TradingDay, rows: UsageRows
) -> None:
    rows.both("far", 10_000, 2_000)  # 40,000 against 8,000 contract tokens
    initial = day.settle()
    suspended = day.balance("house", Role.SUSPENSE, SYMBOL)
    assert suspended == int(outcome(initial)["suspended_micros"]) > 0
    assert findings(audit()) == {}
    check_statements(initial)
    final = day.settle(RunKind.FINAL)
    assert day.balance("house", Role.SUSPENSE, SYMBOL) == 0
    assert outcome(final)["suspended_micros"] == "0"
    assert day.balance("buyer-1") == OPENING - 420_840 + int(outcome(final)["refund_unused_micros"])
    check_statements(final)
    assert findings(audit()) == {}


def test_what_is_suspended_out_of_the_short_refund_can_be_stated_and_is_given_back_later(
    day: TradingDay, rows: UsageRows
) -> None:
    """All that is left was refused, so what the provider claims besides can come out of nothing else."""
    rows.both("far", 10_000, 2_000)
    for number in range(30):  # a minute counts no more than its share
        at = START + timedelta(minutes=2 * number)
        rows.keep(
            PROVIDER,
            f"refused-{number}",
            kind=EventKind.REFUSED,
            at=at,
            input_uncached=5_000,
            refusal_reason="capacity",
        )
    initial = day.settle()
    said = outcome(initial)
    assert int(said["suspended_micros"]) > int(said["refund_unused_micros"]) == 0 < int(said["short_tokens"])
    check_statements(initial)
    final = day.settle(RunKind.FINAL)
    assert outcome(final)["suspended_micros"] == "0"
    assert int(outcome(final)["refund_short_micros"]) > int(said["refund_short_micros"])
    check_statements(final)
    assert findings(audit()) == {}


@pytest.mark.usefixtures("database")
def test_unused_tokens_are_made_up_in_a_later_period_and_no_more_than_once(monkeypatch: pytest.MonkeyPatch) -> None:
    terms = dataclasses.replace(trading_day.TERMS, make_up=MakeUpTerms(permille=500, windows=3))
    monkeypatch.setattr(trading_day, "TERMS", terms)
    day = TradingDay()
    symbols = [day.contract.symbol]
    symbols += [day.list_window(START + hour * HOUR).symbol for hour in (1, 2)]
    day.sweep_contracts()
    for hour, symbol in enumerate(symbols):
        day.sell("provider-1", 10, 420, start=START + hour * HOUR)
        day.buy("buyer-1", 10, 420, overage_permille=1_000, symbol=symbol)
    day.deliver(END)
    day.settle()  # nothing was used: 50,000 may be made up
    assert MakeUpCredit.objects.get().tokens == 50_000
    day.deliver(END + 2 * HOUR)
    for hour, symbol in enumerate(symbols[1:], start=1):
        events = requests(130_000, each=10_000, contract=symbol)
        for event in events:
            event["id"] = f"{hour}-{event['id']}"
            moved = START + hour * HOUR + timedelta(minutes=1)
            event["data"] = event["data"] | {"request_id": event["id"], "accepted_at": moved.isoformat()}
            event["time"] = moved.isoformat()
        day.report_both("buyer-1", "provider-1", events)
    second = create_run("CNY", END, END + 2 * HOUR, RunKind.INITIAL, actor=ACTOR, now=day.clock.at)
    day.work_off()
    made_up = [
        int(row.outcome["made_up_tokens"]) for row in PositionSettlement.objects.filter(run=second).order_by("id")
    ]
    assert made_up == [30_000, 20_000]
    assert sorted(MakeUpUse.objects.values_list("tokens", flat=True)) == [20_000, 30_000]
    check_statements(second)
    assert findings(audit()) == {}


def test_shards_of_later_runs_are_done_in_their_order_whoever_is_faster(
    day: TradingDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is paid of what a payer cannot pay to all must not hang on it."""
    monkeypatch.setattr(shards, "MAX_POSITIONS", 0)  # each contract by itself
    later = day.list_window(END)
    day.sweep_contracts()
    sell_and_deliver(day)
    day.deliver(END + HOUR)
    period = (START, END + HOUR)
    initial = create_run("CNY", *period, RunKind.INITIAL, actor=ACTOR, now=day.clock.at)
    assert len(due_jobs(10)) == 2  # initial ones in any order
    day.work_off()
    final = create_run("CNY", *period, RunKind.FINAL, actor=ACTOR, now=day.clock.at)
    first, second = SettlementJob.objects.filter(run=final, step=JobStep.SETTLE).order_by("subject_id")
    assert due_jobs(10) == [first.pk]
    assert claim_job(second.pk, owner="too early") is None
    assert run_job(first.pk, owner="tests", now=day.clock.at) == [second.pk]
    day.work_off()
    assert RunContract.objects.filter(run=final, contract_id=later.pk).get().shard == second.subject_id
    assert set(SettlementRun.objects.values_list("state", flat=True)) == {RunState.PUBLISHED}
    assert initial.contracts.count() == 2


def test_a_failed_job_is_sent_again_by_command(day: TradingDay) -> None:
    sell_and_deliver(day)
    run = create_run("CNY", START, END, RunKind.INITIAL, actor=ACTOR, now=day.clock.at)
    (job,) = run.jobs.all()
    with pytest.raises(CommandError, match="due"):
        call_command("retry_settlement_job", job.pk, "--reason", "none")
    error = "LedgerDisagrees: a micro is missing"
    SettlementJob.objects.filter(pk=job.pk).update(state="failed", attempt=MAX_ATTEMPTS, error=error)
    out = StringIO()
    call_command("settlement_status", stdout=out)
    assert "Settle contracts: 0 of 1 done, 1 failed" in out.getvalue()
    assert error in out.getvalue()
    call_command("retry_settlement_job", job.pk, "--reason", "the micro is back", stdout=out)
    day.work_off()
    run.refresh_from_db()
    assert run.state == RunState.PUBLISHED
