"""The final run: late usage, money back from whoever got too much, holds freed, debts kept and cleared."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ledger.chart import Role
from ledger.models import Account, Transaction
from settlement.commands.retry_job import RetryJob, retry_job
from settlement.commands.set_share_schedule import SetShareSchedule, set_share_schedule
from settlement.models import JobState, RunContract, RunKind, RunState, SettlementJob, SettlementRun, Statement
from settlement.runs import shards
from settlement.runs.create import create_run
from settlement.runs.jobs import MAX_ATTEMPTS
from settlement.runs.sweep import sweep
from settlement.selectors.runs import list_jobs
from tests.integration.settlement.test_worked_examples import OPENING, check_statements, lines_of
from tests.integration.settlement.trading_day import ACTOR, CODE, END, START, TradingDay, refusal, requests, usage
from tests.two_operators import deposit, withdraw


def totals_of_money(day: TradingDay) -> int:
    """All balances of the currency together."""
    return sum(Account.objects.filter(asset_id=day.currency_id).values_list("balance", flat=True))


def sell_and_deliver(day: TradingDay) -> None:
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()


def test_late_events_flow_into_the_final_run_as_if_they_had_come_in_time(day: TradingDay) -> None:
    sell_and_deliver(day)
    on_time, late = requests(80_000)[:60], requests(80_000)[60:]
    day.report_both("buyer-1", "provider-1", on_time)
    day.settle()
    day.report_both("buyer-1", "provider-1", [*late, refusal(5_000)])
    final = day.settle(RunKind.FINAL)

    assert final.state == RunState.PUBLISHED
    assert day.balance("buyer-1") == OPENING - 420_000 - 840 + 25_200 + 21_000 + 10_500
    assert day.balance("provider-1") == OPENING - 10_500
    assert [day.balance(code) for code in ("grid-compute", "model-lab", "power-works")] == [260_875, 74_536, 37_268]
    assert day.balance("house", Role.FEES) == 840 + 1_121
    assert day.held("provider-1") == 1_000_000 - 10_500  # until nobody can dispute it any more
    day.release()
    assert (day.held("provider-1"), day.held("buyer-1")) == (0, 0)
    assert (day.left_over(), totals_of_money(day)) == ([], 0)
    check_statements(final)


def test_a_final_run_without_news_moves_nothing(day: TradingDay) -> None:
    sell_and_deliver(day)
    day.report_both("buyer-1", "provider-1", requests(80_000))
    day.settle()
    balances = {code: day.balance(code) for code in day.parties}
    final = day.settle(RunKind.FINAL)
    assert {code: day.balance(code) for code in day.parties} == balances
    assert lines_of(final, day.parties["buyer-1"]) == []
    assert not Transaction.objects.filter(kind="adjustment").exists()
    assert day.held("provider-1") == 1_000_000
    day.release()
    assert day.held("provider-1") == 0


def test_what_a_payer_cannot_pay_becomes_debt_and_claims_and_is_cleared_from_its_next_credits(day: TradingDay) -> None:
    sell_and_deliver(day)
    initial = day.settle()  # no usage in time: 40 % comes back to the buyer
    refund = 420_000 * 4 // 10
    assert day.balance("buyer-1") == OPENING - 420_840 + refund
    pay_out(day, "buyer-1", leave=1_000)
    day.report_both("buyer-1", "provider-1", requests(100_000))
    final = day.settle(RunKind.FINAL)

    assert (initial.state, final.state) == (RunState.PUBLISHED, RunState.PUBLISHED)
    assert (day.balance("buyer-1"), day.balance("buyer-1", Role.DEBT)) == (0, 1_000 - refund)
    claims = Account.objects.filter(role=Role.CLAIM, qualifier__startswith="buyer-1")
    assert sum(claim.balance for claim in claims) == refund - 1_000
    assert (day.left_over(), totals_of_money(day)) == ([], 0)
    check_statements(final)
    lines = {line["kind"]: line["amount"] for line in lines_of(final, day.parties["buyer-1"])}
    assert (lines["refund_unused"], lines["debt"]) == ("-0.168000", "0.167000")

    fees, claimed = day.balance("house", Role.FEES), day.balance("house", Role.CLAIM, "buyer-1/fees")
    assert claimed > 0
    credit_in_another_contract(day)
    assert day.balance("buyer-1", Role.DEBT) == 0
    assert not claims.exclude(balance=0).exists()
    assert totals_of_money(day) == 0
    assert day.balance("house", Role.FEES) == fees + claimed + 840 + 252 * 3  # the late fee went where fees go
    assert day.balance("house") == 0


def test_what_the_house_could_not_collect_stands_on_its_statement_and_unowned_shares_stay_apart(
    day: TradingDay,
) -> None:
    share = {"compute": {"ppm": 500_000, "party": ""}, "power": {"ppm": 500_000, "party": ""}}
    provider = day.parties["provider-1"].id
    set_share_schedule(SetShareSchedule(provider, CODE, share), actor=ACTOR, now=day.clock.at)
    sell_and_deliver(day)
    day.settle()
    held = day.balance("house", Role.HELD_SHARE)
    pay_out(day, "buyer-1", leave=0)
    day.report_both("buyer-1", "provider-1", requests(100_000))
    final = day.settle(RunKind.FINAL)

    assert day.balance("house", Role.HELD_SHARE) == held
    lines = lines_of(final, day.parties["house"])
    assert [line["kind"] for line in lines] == ["provider_fee", "claim"]
    assert lines[0]["amount"] == lines[1]["amount"].removeprefix("-")
    check_statements(final)

    late = (420_000 - 1_260) // 2 - held
    credit_in_another_contract(day)
    assert day.balance("house", Role.HELD_SHARE) == held + late + held
    assert day.balance("house") == 0


def pay_out(day: TradingDay, code: str, *, leave: int) -> None:
    withdraw(
        day.parties[code].id,
        day.currency_id,
        day.balance(code) - leave,
        reference=f"pay out {code}",
        now=day.clock.at,
    )


def credit_in_another_contract(day: TradingDay) -> None:
    """The debtor buys in a later window, uses nothing and gets a refund."""
    start = END + timedelta(hours=2)
    contract = day.list_window(start)
    day.sweep_contracts()
    deposit(day.parties["buyer-1"].id, day.currency_id, 430_000, reference="more", now=day.clock.at)
    day.sell("provider-1", 10, 420, start=start)
    day.buy("buyer-1", 10, 420, symbol=contract.symbol)
    day.deliver(start + timedelta(hours=1))
    create_run("CNY", start, start + timedelta(hours=1), RunKind.INITIAL, actor=ACTOR, now=day.clock.at)
    day.work_off()
    assert SettlementRun.objects.exclude(state=RunState.PUBLISHED).count() == 0


def test_a_debt_is_stated_by_its_run_even_if_another_run_closed_in_between(
    day: TradingDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "MAX_POSITIONS", 0)  # each contract by itself
    later = day.list_window(END)
    day.sweep_contracts()
    sell_and_deliver(day)
    day.deliver(END + timedelta(hours=1))
    period = (START, END + timedelta(hours=1))
    create_run("CNY", *period, RunKind.INITIAL, actor=ACTOR, now=day.clock.at)
    day.work_off()
    pay_out(day, "buyer-1", leave=1_000)
    day.report_both("buyer-1", "provider-1", requests(100_000))
    final = create_run("CNY", *period, RunKind.FINAL, actor=ACTOR, now=day.clock.at)
    waiting = list_jobs(final.id).get(subject_id=RunContract.objects.get(run=final, contract_id=later.id).shard)
    SettlementJob.objects.filter(id=waiting.id).update(state=JobState.FAILED, attempt=MAX_ATTEMPTS)
    day.work_off()  # the adjustment is posted, the run goes on
    day.clock.at += timedelta(hours=1)
    create_run("CNY", period[1], day.clock.at, RunKind.INITIAL, actor=ACTOR, now=day.clock.at)
    sweep(day.clock.at, ring=lambda job_id: None)
    day.work_off()  # this run is stated in the meantime
    retry_job(RetryJob(waiting.id, "again"), actor=ACTOR, now=day.clock.at)
    day.work_off()

    check_statements(final)
    statement = Statement.objects.get(run=final, party=day.parties["buyer-1"])
    assert statement.sequence == 3
    assert [line["amount"] for line in lines_of(final, statement.party) if line["kind"] == "debt"] == ["0.167000"]


def test_refusals_that_turn_out_delivered_give_the_damages_back(day: TradingDay) -> None:
    sell_and_deliver(day)
    refused = refusal(5_000)
    day.report("provider-1", [*requests(80_000), refused])
    day.settle()
    assert day.balance("buyer-1") == OPENING - 420_840 + 25_200 + 21_000 + 10_500
    delivered = usage("retry-1", 5_000, retry_of="refused-1")
    day.report("provider-1", [delivered])
    day.settle(RunKind.FINAL)
    assert day.balance("buyer-1") == OPENING - 420_840 + 25_200
    day.release()
    assert (day.left_over(), totals_of_money(day), day.held("provider-1")) == ([], 0, 0)
