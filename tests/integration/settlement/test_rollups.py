"""Usage by minute: exactly the accepted events that nobody corrected, each once, however calls come and go."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import timedelta
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from psycopg import sql

from settlement import tasks
from settlement.metering import rollups
from settlement.metering.partitions import make_partitions_ahead
from settlement.metering.rollup_check import find_differences, rebuild
from settlement.metering.rollups import COUNTS, FIGURES, ROLLUP_LOCK, RolledUp, roll_up, rolled_up_until
from settlement.models import Meter, PendingRollup, ReconcileQueue, UsageEvent, UsageMinute, UsageSupersession
from settlement.selectors.usage_minutes import list_usage_minutes, total_pairs
from tests.conftest import DatabaseUrls
from tests.integration.settlement.trading_day import START, SYMBOL, TradingDay, requests
from tests.integration.settlement.usage_calls import Calls

MINUTE = timedelta(minutes=1)
Sums = dict[tuple[Any, ...], dict[str, int]]


@pytest.fixture
def calls(day: TradingDay) -> Calls:
    return Calls(day)


def roll_up_all(**more: Any) -> RolledUp:
    """Until nothing waits."""
    done = RolledUp(0, 0, ())
    while (step := roll_up(now=START, **more)).calls:
        done = RolledUp(done.calls + step.calls, done.events + step.events, (*done.contracts, *step.contracts))
    return done


def sums() -> Sums:
    """The stored sums by pair, side and minute, without those that came to nothing."""
    return {
        (row.contract_id, row.buyer_id, row.provider_id, row.side, row.minute): figures
        for row in UsageMinute.objects.all()
        if any((figures := {name: getattr(row, name) for name in FIGURES}).values())
    }


def summed_here() -> Sums:
    """The same from the events, one by one in Python."""
    replaced = set(UsageSupersession.objects.values_list("meter_id", "event_id"))
    waiting = set(PendingRollup.objects.values_list("batch_id", flat=True))
    sides = dict(Meter.objects.values_list("id", "side"))
    found: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: dict.fromkeys(FIGURES, 0))
    for event in UsageEvent.objects.filter(quarantine_reason=None).exclude(kind="void"):
        if (event.meter_id, event.event_id) in replaced or event.batch_id in waiting:
            continue
        minute = event.accepted_at.replace(second=0, microsecond=0)
        row = found[event.contract_id, event.buyer_id, event.provider_id, sides[event.meter_id], minute]
        if event.kind == "started":
            row["started"] += 1
        elif event.kind == "refused":
            row["refused"] += 1
            row["refused_millitokens"] += event.millitokens
        else:
            row["completed"] += event.requests
            for name in FIGURES[len(COUNTS) : -1]:
                row[name] += getattr(event, name)
    return dict(found)


def test_what_meters_report_is_summed_by_minute(day: TradingDay) -> None:
    day.clock.at = START + timedelta(hours=1)
    day.report("provider-1", requests(10_000, each=1_000))  # every 20 seconds
    assert roll_up(now=START) == RolledUp(1, 10, (day.contract.id,))
    assert roll_up(now=START) == RolledUp(0, 0, ())
    rows = list(UsageMinute.objects.order_by("minute").values_list("side", "minute", "completed", "input_uncached"))
    assert rows == [
        ("provider", START + number * MINUTE, count, count * 1_000) for number, count in enumerate((3, 3, 3, 1))
    ]
    assert sums() == summed_here()
    assert not PendingRollup.objects.exists()


def test_kinds_of_event_go_into_their_own_figures(calls: Calls) -> None:
    calls.report(
        calls.event(kind="started"),
        calls.event(),
        calls.event(by="buyer-1", accepted_at=START + timedelta(seconds=59, microseconds=999_999)),
        calls.event(kind="refused", refusal_reason="capacity", millitokens=700, input_uncached=50),
        calls.aggregate(40),
        calls.event(quarantine_reason="no_usage"),
    )
    roll_up_all()
    provider, buyer = UsageMinute.objects.order_by("-side")
    assert (provider.side, provider.minute, provider.started, provider.completed, provider.refused) == (
        ("provider", START, 1, 41, 1)
    )
    assert (provider.input_uncached, provider.output_visible) == (1, 2 + 200)
    assert (provider.millitokens, provider.refused_millitokens) == (9_000 + 800, 700)
    assert (buyer.side, buyer.minute, buyer.completed) == ("buyer", START, 1)
    assert sums() == summed_here()


def test_a_corrected_event_is_taken_out_again(calls: Calls) -> None:
    calls.report(calls.event("first"), calls.event("other"))
    roll_up_all()
    calls.report(calls.correction("first", "second", output_visible=7, accepted_at=START + MINUTE))
    roll_up_all()
    assert sums() == summed_here()
    calls.report(
        calls.correction("second", "third", kind="refused", refusal_reason="failure", millitokens=5),
        calls.event("fourth"),
        calls.correction("fourth", "fifth", kind="void"),
    )
    roll_up_all()
    assert sums() == summed_here()
    assert [row["completed"] for row in sums().values()] == [1]


def test_a_correction_may_be_counted_before_what_it_corrects(calls: Calls) -> None:
    calls.report(calls.event("early"))
    first = calls.report(calls.event("late"))
    PendingRollup.objects.filter(batch_id=first).delete()  # as if its call took a higher number
    calls.report(calls.correction("late", kind="void"))
    roll_up_all()
    assert find_differences()  # the call that is neither waiting nor counted
    PendingRollup.objects.create(batch_id=first, received_at=START)
    assert not find_differences()
    roll_up_all()
    assert not find_differences()
    assert sums() == summed_here()


def test_a_correction_of_a_quarantined_event_takes_nothing_out(calls: Calls) -> None:
    calls.report(calls.event("bad", quarantine_reason="no_usage"), calls.correction("bad"))
    roll_up_all()
    assert [row["completed"] for row in sums().values()] == [1]
    assert not find_differences()


def test_a_step_takes_no_more_calls_and_events_than_it_may(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "EVENTS_A_STEP", 5)
    for count in (7, 2, 3, 1):
        calls.report(*[calls.event() for _ in range(count)])
    assert [roll_up(now=START).events for _ in range(4)] == [7, 5, 1, 0]
    for _ in range(3):
        calls.report(calls.event())
    assert [roll_up(now=START, calls=2).calls for _ in range(3)] == [2, 1, 0]
    assert sums() == summed_here()


def test_sums_go_beyond_any_single_figure(calls: Calls) -> None:
    """Aggregates of the greatest size must not stop the sums of everybody."""
    most = {"output_visible": 10**18, "millitokens": 10**18}
    for _ in range(5):
        calls.report(*[calls.aggregate(1_000_000, **most) for _ in range(4)])
    roll_up_all()
    assert not PendingRollup.objects.exists()
    assert sums() == summed_here()
    assert UsageMinute.objects.get().millitokens == 2 * 10**19
    assert not find_differences()
    (total,) = total_pairs(list_usage_minutes(now=START))
    assert total.figures["output_visible"] == 2 * 10**19
    rebuild()
    assert sums() == summed_here()


def test_a_call_that_cannot_be_summed_holds_up_no_other(calls: Calls, database: DatabaseUrls) -> None:
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("ALTER TABLE settlement_usageminute ADD CONSTRAINT small CHECK (output_visible < 100)")
        bad = calls.report(calls.event(output_visible=100))
        for _ in range(3):
            calls.report(calls.event(output_visible=5))
        assert roll_up(now=START).calls == 3
        assert [(each.batch_id, each.failures) for each in PendingRollup.objects.all()] == [(bad, 1)]
        calls.report(calls.event(output_visible=6))
        assert roll_up(now=START, calls=1).calls == 1, "what failed comes last"
        assert sums() == summed_here()
        owner.execute("ALTER TABLE settlement_usageminute DROP CONSTRAINT small")
    roll_up_all()
    assert sums() == summed_here()
    assert not PendingRollup.objects.exists()


def test_what_fails_is_counted_later_and_once(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    calls.report(calls.event())

    def stop(contracts: object, *, now: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(rollups, "enqueue", stop)
        with pytest.raises(RuntimeError, match="killed"):
            roll_up(now=START)
    assert not UsageMinute.objects.exists()
    assert rolled_up_until(START + MINUTE) == START
    roll_up_all()
    assert sums() == summed_here()
    assert rolled_up_until(START + MINUTE) == START + MINUTE


def test_only_one_sums_at_a_time(calls: Calls) -> None:
    calls.report(calls.event())
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ROLLUP_LOCK])
        assert roll_up(now=START) == RolledUp(0, 0, ())
    assert roll_up(now=START).calls == 1


def test_the_bell_sums_all_that_waits_and_the_schedule_rings_it(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "EVENTS_A_STEP", 2)
    for _ in range(5):
        calls.report(calls.event(), calls.event())
    tasks.roll_up()
    assert not PendingRollup.objects.exists()
    assert sums() == summed_here()
    for _ in range(3):
        calls.report(calls.event(), calls.event())
    monkeypatch.setattr(tasks, "ROLL_UP_NANOSECONDS", 0)
    tasks.roll_up()
    assert PendingRollup.objects.count() == 2
    schedule = {entry["task"]: entry["schedule"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert schedule[tasks.roll_up.name] == timedelta(seconds=2)
    assert schedule[tasks.make_usage_partitions.name] == timedelta(hours=1)


def test_watermarks_put_their_contract_in_line(calls: Calls) -> None:
    calls.report(watermarks=[calls.watermark([])])
    assert roll_up(now=START) == RolledUp(1, 1, (calls.day.contract.id,))
    assert not UsageMinute.objects.exists()
    assert list(ReconcileQueue.objects.values_list("contract_id", flat=True)) == [calls.day.contract.id]


def test_calls_in_any_order_come_to_the_same(calls: Calls) -> None:
    """Random calls over two days, with corrections of corrections, rolled up a few at a time in random order."""
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    standing: list[tuple[str, str]] = []
    for _ in range(40):
        at = START + timedelta(hours=chance.randrange(30))
        events = []
        for _ in range(chance.randrange(1, 8)):
            by = chance.choice(("provider-1", "buyer-1"))
            accepted_at = START + timedelta(seconds=chance.randrange(600))
            reason = chance.choice((None, None, None, "total_mismatch"))
            if standing and chance.random() < 0.4:
                old, by = standing.pop(chance.randrange(len(standing)))
                event = calls.correction(old, by=by, accepted_at=accepted_at, kind=chance.choice(("completed", "void")))
            elif chance.random() < 0.2:
                event = calls.aggregate(chance.randrange(1, 50), by=by, accepted_at=START)
            else:
                event = calls.event(by=by, accepted_at=accepted_at, quarantine_reason=reason)
            events.append(event)
            standing.append((event.event_id, by))
        calls.report(*events, at=at)
        if chance.random() < 0.3:
            roll_up(now=at, calls=chance.randrange(1, 4))
            assert not find_differences(), seed
    roll_up_all(calls=3)
    assert sums() == summed_here(), seed
    assert not find_differences(), seed


def test_the_check_tells_every_kind_of_difference(calls: Calls) -> None:
    calls.report(calls.event(), calls.event(accepted_at=START + MINUTE), calls.event(accepted_at=START + 2 * MINUTE))
    roll_up_all()
    before = sums()
    UsageMinute.objects.filter(minute=START).update(output_visible=3)
    UsageMinute.objects.filter(minute=START + MINUTE).delete()
    surplus = UsageMinute.objects.get(minute=START + 2 * MINUTE)
    surplus.minute = START + 3 * MINUTE
    surplus.save(force_insert=True)
    found = find_differences()
    assert [(each.minute, dict(each.figures).get("output_visible")) for each in found] == [
        (START, (3, 2)),
        (START + MINUTE, (0, 2)),
        (START + 3 * MINUTE, (2, 0)),
    ]
    assert dict(found[0].figures) == {"output_visible": (3, 2)}
    with pytest.raises(CommandError, match="in 3 minutes"):
        call_command("rebuild_rollups", "--check", stdout=(told := StringIO()))
    assert f"{SYMBOL} buyer-1 provider-1 provider 2026-12-01 14:00: output_visible 3 for 2" in told.getvalue()
    call_command("rebuild_rollups", stdout=(told := StringIO()))
    assert "3 minutes differed" in told.getvalue()
    assert sums() == before
    call_command("rebuild_rollups", "--check", stdout=(told := StringIO()))
    assert told.getvalue() == "No minute differs.\n"


def test_rebuilding_leaves_what_waits_to_the_roll_up(calls: Calls) -> None:
    calls.report(calls.event("one"))
    roll_up_all()
    calls.report(calls.event("two"), calls.correction("one", kind="void"))
    rebuild()
    assert [row["completed"] for row in sums().values()] == [1]
    roll_up_all()
    assert sums() == summed_here()
    assert [row["completed"] for row in sums().values()] == [1]


def test_a_call_is_looked_up_and_not_searched_for(calls: Calls) -> None:
    """However many events there are: the query can read each call by the primary key of its day."""
    make_partitions_ahead(now=START, days=40)
    for _ in range(3):
        calls.report(*[calls.event() for _ in range(400)])
    last = PendingRollup.objects.order_by("-batch_id")[0]
    with transaction.atomic(), connection.cursor() as cursor:
        # A table this small may be cheaper to read whole, by statistics that autovacuum takes when it likes.
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        parameters: dict[str, Any] = {"calls": [last.batch_id], "received": [last.received_at]}
        cursor.execute(sql.SQL("EXPLAIN ") + rollups._ROLL_UP, parameters)
        plan = "\n".join(line for (line,) in cursor)
    assert "using settlement_usageevent_20261201_pkey" in plan, plan
    assert "Seq Scan on settlement_usageevent" not in plan, plan
