"""Runs and their jobs: what is made, who does it, and how statements follow one another."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from ledger.chart import AccountKey, Role
from ledger.drafts import Leg, TransactionDraft
from ledger.journal import post
from ledger.keys.ring import ensure_current_key, public_jwks
from ledger.models import ActionLog, SigningKey, Transaction
from settlement.commands.retry_job import RetryJob, retry_job
from settlement.commands.set_share_schedule import SetShareSchedule, set_share_schedule
from settlement.errors import (
    ContractNotDelivered,
    InvalidPeriod,
    InvalidSplitSchedule,
    JobNotFailed,
    LeaseLost,
)
from settlement.models import JobState, JobStep, RunKind, RunState, SettlementJob, SettlementRun, Statement
from settlement.runs.calendar import Calendar, period_start
from settlement.runs.create import create_run
from settlement.runs.errors import EarlierRunMissing
from settlement.runs.jobs import MAX_ATTEMPTS, claim_job, due_jobs, give_up_dead_jobs, holding
from settlement.runs.sweep import sweep
from settlement.runs.work import run_job
from settlement.selectors.runs import run_totals
from settlement.statements.jws import records_file, statement_file
from settlement.statements.verify import verify
from tests.integration.settlement.trading_day import ACTOR, CODE, END, START, TradingDay, requests

HOURLY = Calendar(timedelta(hours=1), timedelta(minutes=2), timedelta(hours=2))


@pytest.fixture
def sold(day: TradingDay) -> TradingDay:
    day.sell("provider-1", 4, 420)
    day.buy("buyer-1", 3, 420)
    day.buy("buyer-2", 1, 420)
    return day


@pytest.fixture
def delivered(sold: TradingDay) -> TradingDay:
    sold.deliver()
    sold.report_both("buyer-1", "provider-1", requests(20_000))
    return sold


def make(day: TradingDay, kind: RunKind = RunKind.INITIAL) -> SettlementRun:
    return create_run("CNY", START, END, kind, actor=ACTOR, now=day.clock.at)


def test_a_period_must_be_over_and_of_whole_minutes(day: TradingDay) -> None:
    with pytest.raises(InvalidPeriod):
        make(day)
    day.deliver()
    for start, end in ((END, START), (START, START), (START + timedelta(seconds=1), END)):
        with pytest.raises(InvalidPeriod):
            create_run("CNY", start, end, RunKind.INITIAL, actor=ACTOR, now=day.clock.at)


def test_only_delivered_contracts_are_settled(sold: TradingDay) -> None:
    sold.clock.at = END  # nobody has told the contract yet
    with pytest.raises(ContractNotDelivered):
        make(sold)
    assert not SettlementRun.objects.exists()


def test_a_final_run_follows_a_published_initial_one(delivered: TradingDay) -> None:
    with pytest.raises(EarlierRunMissing):
        make(delivered, RunKind.FINAL)
    make(delivered)
    with pytest.raises(EarlierRunMissing):
        make(delivered, RunKind.FINAL)


def test_overlapping_periods_settle_a_contract_once(delivered: TradingDay) -> None:
    make(delivered)
    other = create_run(
        "CNY", START, END + timedelta(hours=1), RunKind.INITIAL, actor=ACTOR, now=END + timedelta(hours=1)
    )
    assert other.jobs.count() == 0
    assert SettlementJob.objects.count() == 1


def test_only_one_worker_gets_a_job(delivered: TradingDay) -> None:
    (job,) = make(delivered).jobs.all()
    assert claim_job(job.id, owner="one") is not None
    assert claim_job(job.id, owner="two") is None
    assert due_jobs(10) == []


def test_a_worker_that_lost_its_lease_writes_nothing(delivered: TradingDay) -> None:
    (job,) = make(delivered).jobs.all()
    slow = claim_job(job.id, owner="slow", lease=timedelta(0))
    assert slow is not None
    assert due_jobs(10) == [job.id]
    fast = claim_job(job.id, owner="fast")
    assert fast is not None
    assert fast.fencing == slow.fencing + 1
    with pytest.raises(LeaseLost), holding(slow):
        pytest.fail("a stale claim must not hold")
    with holding(fast) as held:
        assert held.lease_owner == "fast"


def test_a_failure_is_kept_tried_again_and_given_up(delivered: TradingDay) -> None:
    (job,) = make(delivered).jobs.all()
    house, thief = delivered.parties["house"].id, delivered.parties["buyer-3"].id
    escrow = AccountKey(house, delivered.currency_id, Role.ESCROW, delivered.contract.symbol)
    cash = AccountKey(thief, delivered.currency_id, Role.CASH)
    move = TransactionDraft("test", "test", "theft", END, (Leg(escrow, -1), Leg(cash, 1)))
    with transaction.atomic():
        post([move], actor=ACTOR, now=END)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert due_jobs(10) == [job.id]
        assert run_job(job.id, owner="tests", now=END) == []
        job.refresh_from_db()
        assert (job.state, job.attempt) == (JobState.FAILED, attempt)
        assert "LedgerDisagrees" in job.error
        assert due_jobs(10) == []  # not at once
        delivered.hurry()
    assert due_jobs(10) == []
    assert Transaction.objects.filter(source="settlement").count() == 0

    back = TransactionDraft("test", "test", "return", END, (Leg(escrow, 1), Leg(cash, -1)))
    with transaction.atomic():
        post([back], actor=ACTOR, now=END)
    retry_job(RetryJob(job.id, "the money is back"), actor="operator", now=END)
    delivered.work_off()
    assert SettlementRun.objects.get().state == RunState.PUBLISHED
    assert ActionLog.objects.filter(action="retry_settlement_job").count() == 1
    with pytest.raises(JobNotFailed):
        retry_job(RetryJob(job.id, "again"), actor="operator", now=END)


def test_a_job_that_kills_every_worker_is_given_up(delivered: TradingDay) -> None:
    (job,) = make(delivered).jobs.all()
    for _ in range(MAX_ATTEMPTS):
        assert give_up_dead_jobs() == 0
        assert claim_job(job.id, owner="dies", lease=timedelta(0)) is not None
    assert due_jobs(10) == []
    assert give_up_dead_jobs() == 1
    job.refresh_from_db()
    assert (job.state, "death" in job.error) == (JobState.FAILED, True)


def test_statements_wait_for_a_key_and_then_go_on(delivered: TradingDay) -> None:
    SigningKey.objects.update(state="retired")
    make(delivered)
    delivered.work_off()
    assert SettlementRun.objects.get().state == RunState.SIGNING
    assert {job.state for job in SettlementJob.objects.filter(step=JobStep.SIGN)} == {JobState.FAILED}
    ensure_current_key(actor="operator", now=END)
    for job in SettlementJob.objects.filter(state=JobState.FAILED):
        retry_job(RetryJob(job.id, "the key is there"), actor="operator", now=END)
    delivered.work_off()
    assert SettlementRun.objects.get().state == RunState.PUBLISHED


def test_everybody_concerned_gets_a_statement_and_the_next_one_follows_on_it(sold: TradingDay) -> None:
    later = sold.list_window(END)
    sold.sweep_contracts()
    sold.sell("provider-1", 1, 400, start=END)
    sold.buy("buyer-3", 1, 400, symbol=later.symbol)
    sold.deliver()
    sold.report_both("buyer-1", "provider-1", requests(20_000))
    first = sold.settle()
    codes = set(Statement.objects.filter(run=first).values_list("party__code", flat=True))
    assert codes == set(sold.parties)

    sold.deliver(END + timedelta(hours=1))
    second = create_run("CNY", END, END + timedelta(hours=1), RunKind.INITIAL, actor=ACTOR, now=sold.clock.at)
    sold.work_off()
    stated = dict(Statement.objects.filter(run=second).values_list("party__code", "sequence"))
    everybody = {"house", "provider-1", "buyer-3", "grid-compute", "model-lab", "power-works"}
    assert stated == dict.fromkeys(everybody, 2)
    jwks = json.dumps(public_jwks()).encode()
    for statement in Statement.objects.filter(run=second):
        before = Statement.objects.get(party=statement.party, sequence=1)
        records = b"".join(records_file(statement))
        report = verify(statement_file(statement), jwks, previous=statement_file(before), records=records)
        assert report.ok, report.text()


def test_the_doorbell_may_ring_twice_or_not_at_all(delivered: TradingDay) -> None:
    """Nobody rings in time; the sweep finds what is due, and each job is done once however often it is rung for."""
    rung: list[int] = []
    at = END + timedelta(minutes=1)
    assert sweep(at, ring=rung.append, calendar=HOURLY).runs == ()
    at = END + timedelta(minutes=2)
    made = sweep(at, ring=rung.append, calendar=HOURLY)
    assert (len(made.runs), list(made.jobs)) == (1, rung)
    assert sweep(at, ring=rung.append, calendar=HOURLY).runs == ()
    posted: set[int] = set()
    while jobs := due_jobs(100):
        for job_id in jobs * 2:
            run_job(job_id, owner="tests", now=at)
        posted.add(Transaction.objects.filter(source="settlement").count())
    assert len(posted) == 1
    assert sweep(at, ring=rung.append, calendar=HOURLY).jobs == ()
    final = sweep(END + timedelta(hours=2), ring=rung.append, calendar=HOURLY)
    assert SettlementRun.objects.get(id=final.runs[0]).kind == RunKind.FINAL
    assert sweep(END + timedelta(hours=2), ring=rung.append, calendar=HOURLY).runs == ()


def test_no_run_is_made_by_itself_while_a_contract_of_the_period_is_not_delivered(sold: TradingDay) -> None:
    assert sweep(END + timedelta(hours=1), ring=print, calendar=HOURLY).runs == ()
    off = Calendar(timedelta(0), timedelta(0), timedelta(0))
    sold.deliver()
    assert sweep(END + timedelta(hours=1), ring=print, calendar=off).runs == ()


def test_periods_count_from_midnight_and_hold_their_end() -> None:
    hour = timedelta(hours=1)
    assert period_start(END, hour) == START
    assert period_start(END + timedelta(seconds=1), hour) == END
    midnight = START.replace(hour=0)
    assert period_start(midnight, hour) == midnight - hour
    assert period_start(END, timedelta(days=1)) == midnight


def test_the_shares_are_those_that_stood_when_the_gate_closed(delivered: TradingDay) -> None:
    weights = {"compute": {"ppm": 1_000_000, "party": ""}}
    set_share_schedule(
        SetShareSchedule(delivered.parties["provider-1"].id, CODE, weights), actor=ACTOR, now=delivered.clock.at
    )
    delivered.settle()
    assert delivered.balance("model-lab") > 0


def test_a_share_of_the_house_or_of_nobody_known_is_refused(day: TradingDay) -> None:
    for party in ("house", "nobody"):
        weights: dict[str, dict[str, Any]] = {
            "compute": {"ppm": 900_000, "party": ""},
            "platform": {"ppm": 100_000, "party": party},
        }
        command = SetShareSchedule(day.parties["provider-1"].id, CODE, weights)
        with pytest.raises(InvalidSplitSchedule):
            set_share_schedule(command, actor=ACTOR, now=day.clock.at)


def test_several_workers_at_once_do_each_job_once(day: TradingDay) -> None:
    starts = [START + timedelta(hours=hour) for hour in range(4)]
    symbols = [day.contract.symbol, *(day.list_window(start).symbol for start in starts[1:])]
    day.sweep_contracts()
    for start, symbol in zip(starts, symbols, strict=True):
        day.sell("provider-1", 3, 420, start=start)
        for buyer in ("buyer-1", "buyer-2", "buyer-3"):
            day.buy(buyer, 1, 420, symbol=symbol)
    end = starts[-1] + timedelta(hours=1)
    day.deliver(end)
    run = create_run("CNY", START, end, RunKind.INITIAL, actor=ACTOR, now=end)

    def work() -> None:
        while jobs := due_jobs(100):
            for job_id in jobs:
                run_job(job_id, owner=threading.current_thread().name, now=end)
        connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    day.work_off()
    run.refresh_from_db()
    assert run.state == RunState.PUBLISHED
    assert set(run.jobs.values_list("state", "attempt", "error")) == {(JobState.DONE, 1, "")}
    assert day.left_over() == []
    assert run_totals(run.id).take_or_pay_micros == 12 * 42_000 * 6 // 10
