"""Days of events: made ahead, put aside when nobody needs them, brought back unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections
from django.test import override_settings

from config.clock import SimulatedClock
from exchange.models import Contract, ContractState
from ledger.clock import get_clock
from ledger.models import ActionLog
from settlement import tasks
from settlement.errors import UnknownUsageDay, UsageDayChanged, UsageDayNeeded
from settlement.metering.partitions import contracts_put_aside, list_partitions, make_partitions_ahead
from settlement.metering.retention import attach_day, attached_days, detach_day
from settlement.metering.rollup_check import find_differences, rebuild
from settlement.metering.rollups import roll_up
from settlement.models import (
    DetachedDay,
    PendingRollup,
    RunContract,
    RunKind,
    RunState,
    SettlementRun,
    UsageDedup,
    UsageEvent,
    UsageMinute,
)
from tests.integration.settlement.line_rows import closed_run
from tests.integration.settlement.trading_day import END, START, TradingDay
from tests.integration.settlement.usage_calls import Calls

FIRST = START.date()
OLD = START + timedelta(days=500)


@pytest.fixture
def calls(day: TradingDay) -> Calls:
    return Calls(day)


def settle_finally(day: TradingDay, *, published: bool = True, kind: RunKind = RunKind.FINAL) -> None:
    """The record of a run over the day's contract."""
    run = closed_run(
        currency_id=day.currency_id,
        period_start=START,
        period_end=END,
        kind=kind,
        state=RunState.PUBLISHED if published else RunState.STATING,
        published_at=END if published else None,
        created_at=END,
    )
    RunContract.objects.create(run=run, contract_id=day.contract.id, shard=1, place=1)


@pytest.fixture
def old(day: TradingDay, calls: Calls) -> Calls:
    """Two days of events of a contract that was settled long ago, all rolled up."""
    calls.report(calls.event("one"), calls.event("two"))
    calls.report(calls.event("three"), calls.event("aside", quarantine_reason="no_usage"))
    calls.report(calls.event("late"), at=START + timedelta(days=1))
    while roll_up(now=OLD).calls:
        pass
    settle_finally(day)
    return calls


def seen() -> set[str]:
    return set(UsageEvent.objects.values_list("event_id", flat=True))


def attached(day: date = FIRST) -> bool:
    return day in {each.day for each in list_partitions() if each.attached}


def as_owner(statement: str) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(statement)


def test_days_are_made_ahead_and_made_once(day: TradingDay) -> None:
    late = datetime(2027, 12, 31, 23, 59, 59, tzinfo=UTC)
    before = {each.day for each in list_partitions()}
    make_partitions_ahead(now=late, days=2)
    make_partitions_ahead(now=late.astimezone(), days=2)
    made = {each.day for each in list_partitions() if each.attached} - before
    assert made == {date(2027, 12, 31), date(2028, 1, 1), date(2028, 1, 2)}
    tasks.make_usage_partitions()
    today = get_clock().now().astimezone(UTC).date()
    assert all(attached(today + timedelta(days=ahead)) for ahead in range(8))


def test_a_day_goes_and_comes_back_as_it_was(old: Calls) -> None:
    before = seen()
    record = detach_day(FIRST, actor="op", now=OLD)
    assert (record.rows, record.contracts, record.actor) == (4, [old.day.contract.id], "op")
    assert seen() == {"late"}
    assert not attached()
    # The identities stay, so none of them is ever new again.
    assert UsageDedup.objects.count() == 5
    assert attach_day(FIRST, actor="op", now=OLD).digest == record.digest
    assert seen() == before
    assert attached()
    again = detach_day(FIRST, actor="other", now=OLD + timedelta(days=1))
    assert (again.digest, again.actor) == (record.digest, "op")
    actions = ActionLog.objects.filter(subject=f"usage:{FIRST}").order_by("id").values_list("actor", "action")
    assert list(actions) == [("op", "detach_usage_day"), ("op", "attach_usage_day"), ("other", "detach_usage_day")]


def test_meters_and_readers_go_on_while_a_day_is_gone(old: Calls) -> None:
    detach_day(FIRST, actor="op", now=OLD)
    make_partitions_ahead(now=START)  # the day's table is there, and stays aside
    assert not attached()
    old.report(old.event("new"), at=OLD)
    assert seen() == {"late", "new"}
    assert roll_up(now=OLD).calls == 1


def test_sums_of_what_was_put_aside_are_left_alone(old: Calls) -> None:
    detach_day(FIRST, actor="op", now=OLD)
    assert contracts_put_aside() == {old.day.contract.id}
    sums = list(UsageMinute.objects.values())
    rebuild()
    assert list(UsageMinute.objects.values()) == sums != []
    UsageMinute.objects.update(completed=77)
    assert not find_differences()
    attach_day(FIRST, actor="op", now=OLD)
    assert not contracts_put_aside()
    assert [each.figures["completed"][0] for each in find_differences()] == [77]


def test_what_somebody_needs_is_kept(day: TradingDay, calls: Calls) -> None:
    calls.report(calls.event("one"))

    def refused(now: datetime = OLD) -> str:
        with pytest.raises(UsageDayNeeded) as error:
            detach_day(FIRST, actor="op", now=now)
        assert attached()
        return error.value.message

    assert "wait to be rolled up" in refused()
    roll_up(now=OLD)
    assert not PendingRollup.objects.exists()
    assert day.contract.symbol in refused()
    settle_finally(day, kind=RunKind.INITIAL)
    assert day.contract.symbol in refused()
    settle_finally(day, published=False)
    assert day.contract.symbol in refused()
    SettlementRun.objects.filter(kind=RunKind.FINAL).update(state=RunState.PUBLISHED, published_at=END)
    end_of_day = datetime(2026, 12, 2, tzinfo=UTC)
    assert "400 days" in refused(end_of_day + timedelta(days=400, microseconds=-1))
    detach_day(FIRST, actor="op", now=end_of_day + timedelta(days=400))


def test_a_contract_that_was_never_delivered_holds_nothing_up(day: TradingDay, calls: Calls) -> None:
    calls.report(calls.event("one", quarantine_reason="outside_window"))
    as_owner("ALTER TABLE exchange_contract DISABLE TRIGGER USER")  # cancelling takes two operators
    Contract.objects.using("owner").filter(pk=day.contract.pk).update(
        state=ContractState.CANCELLED, cancelled_at=START - timedelta(hours=1)
    )
    assert detach_day(FIRST, actor="op", now=OLD).rows == 1


def test_a_day_that_was_tampered_with_does_not_come_back(old: Calls) -> None:
    detach_day(FIRST, actor="op", now=OLD)
    name = f"settlement_usageevent_{FIRST:%Y%m%d}"
    as_owner(f"ALTER TABLE {name} DISABLE TRIGGER append_only")
    as_owner(f"UPDATE {name} SET millitokens = millitokens + 1 WHERE event_id = 'two'")
    with pytest.raises(UsageDayChanged):
        attach_day(FIRST, actor="op", now=OLD)
    assert not attached()
    as_owner(f"UPDATE {name} SET millitokens = millitokens - 1 WHERE event_id = 'two'")
    attach_day(FIRST, actor="op", now=OLD)
    assert attached()


def test_a_day_put_aside_stays_append_only_and_out_of_reach(old: Calls) -> None:
    detach_day(FIRST, actor="op", now=OLD)
    name = f"settlement_usageevent_{FIRST:%Y%m%d}"
    with pytest.raises(DatabaseError, match="append-only"):
        as_owner(f"DELETE FROM {name}")
    with pytest.raises(DatabaseError, match="permission denied"), connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {name}")
    record = DetachedDay.objects.get()
    with pytest.raises(DatabaseError, match="permission denied"):
        DetachedDay.objects.filter(day=FIRST).update(rows=0)
    record.day = FIRST + timedelta(days=1)
    with pytest.raises(DatabaseError, match="permission denied"):
        record.save(force_insert=True)


def test_an_interrupted_detaching_is_finished_by_the_next(old: Calls) -> None:
    """Stopped after the first of its two steps, as a lost connection does."""
    with connection.cursor() as reader:  # somebody reads, so the second step waits
        reader.execute("BEGIN; SELECT count(*) FROM settlement_usageevent")
        with connections["owner"].cursor() as cursor:
            cursor.execute("SET statement_timeout = 500")
        with pytest.raises(DatabaseError):
            detach_day(FIRST, actor="op", now=OLD)
        reader.execute("COMMIT")
    as_owner("SET statement_timeout = 0")
    assert not attached()
    assert attached_days(before=FIRST + timedelta(days=1)) == [FIRST]
    detach_day(FIRST, actor="op", now=OLD)
    assert attached_days(before=FIRST + timedelta(days=1)) == []
    attach_day(FIRST, actor="op", now=OLD)
    assert len(seen()) == 5


def test_days_that_are_not_there(old: Calls) -> None:
    with pytest.raises(UnknownUsageDay):
        detach_day(date(2020, 1, 1), actor="op", now=OLD)
    for day in (FIRST, date(2020, 1, 1)):
        with pytest.raises(UnknownUsageDay):
            attach_day(day, actor="op", now=OLD)


@pytest.fixture
def much_later(old: Calls) -> Iterator[Calls]:
    """The product's clock stands 400 days after the first day's end."""
    with override_settings(CLOCK="config.clock.SimulatedClock"):
        get_clock.cache_clear()
        SimulatedClock().set(datetime(2026, 12, 2, tzinfo=UTC) + timedelta(days=400))
        yield old
    get_clock.cache_clear()


def test_the_commands_say_what_they_would_do_and_do_it(much_later: Calls) -> None:
    def run(*command: str) -> str:
        call_command(*command, stdout=(told := StringIO()))
        return told.getvalue()

    assert f"{FIRST}: would be detached" in run("detach_usage", "--before", "2026-12-02")
    assert attached()
    with pytest.raises(CommandError, match="1 days are still needed"):
        run("detach_usage", "--before", "2026-12-03", "--yes")  # the second day is 399 days old
    assert not attached()
    assert attached(FIRST + timedelta(days=1))
    listed = run("usage_partitions")
    assert [line.split()[0] for line in listed.splitlines() if line.endswith("detached")] == [str(FIRST)]
    assert "1 contracts have events on detached days" in run("rebuild_rollups", "--check")
    assert f"{FIRST}: attached, 4 events" in run("attach_usage", str(FIRST))
    with pytest.raises(CommandError, match="not a detached day"):
        run("attach_usage", str(FIRST))
