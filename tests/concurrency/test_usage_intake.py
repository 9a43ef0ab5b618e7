"""Two processes take in the same call, or two corrections of the same event, at the same instant."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection, connections

from settlement.metering import ingestion
from settlement.metering.events import CORRECTION_TYPE
from settlement.metering.store import write_batch
from settlement.models import PendingRollup, UsageBatch, UsageDedup, UsageEvent, UsageSupersession
from tests.concurrency.test_transfers_race import wait_until_one_waits_for_a_lock
from tests.conftest import DatabaseUrls
from tests.integration.settlement.trading_day import START, TradingDay, usage

PATIENCE = 30  # seconds
Answers = list[tuple[str, str]]


@pytest.fixture
def day(database: DatabaseUrls) -> TradingDay:
    day = TradingDay()
    day.clock.at = START + timedelta(minutes=1)
    return day


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def started(pool: ThreadPoolExecutor, day: TradingDay, events: Sequence[dict[str, Any]]) -> Future[Answers]:
    """Report on a database connection of its own."""

    def report() -> Answers:
        try:
            return [(str(each.status), each.code) for each in day.report("provider-1", events)]
        finally:
            connections.close_all()

    return pool.submit(report)


def correction(id: str, tokens: int) -> dict[str, Any]:
    event = usage("r0", tokens, supersedes="r0", why="counted twice", replacement="completed")
    return event | {"id": id, "type": CORRECTION_TYPE}


@contextmanager
def first_one_halted(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Whoever is first stops when all of its call is written but the call itself: (it has come there, let it go on)."""
    arrived, go_on = threading.Event(), threading.Event()

    def halted(*given: Any, **more: Any) -> None:
        if not arrived.is_set():
            arrived.set()
            assert go_on.wait(PATIENCE)
        write_batch(*given, **more)

    monkeypatch.setattr(ingestion, "write_batch", halted)
    try:
        yield arrived, go_on
    finally:
        go_on.set()


def race(
    pool: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
    day: TradingDay,
    first: Sequence[dict[str, Any]],
    second: Sequence[dict[str, Any]],
    *,
    waits: bool = True,
) -> tuple[Answers, Answers]:
    """The second call comes while the first has written and not committed. Does it wait, as it should?"""
    with first_one_halted(monkeypatch) as (arrived, go_on):
        one = started(pool, day, first)
        assert arrived.wait(PATIENCE)
        other = started(pool, day, second)
        if waits:
            wait_until_one_waits_for_a_lock()
            assert not other.done()
        else:
            other.result(PATIENCE)
        go_on.set()
        return one.result(PATIENCE), other.result(PATIENCE)


def drop_key(database: DatabaseUrls, table: str) -> None:
    with psycopg.connect(database.owner_url) as owner:
        owner.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")


EVENTS = [usage(f"r{number}", 10) for number in range(50)]


def test_the_same_call_twice_at_once_is_stored_once(
    day: TradingDay, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = race(pool, monkeypatch, day, EVENTS, EVENTS[::-1])
    assert set(first) == {("accepted", "accepted")}
    assert set(second) == {("duplicate", "duplicate")}
    assert UsageEvent.objects.count() == UsageDedup.objects.count() == 50
    assert PendingRollup.objects.count() == 1


def test_control_without_the_key_of_identities_every_event_is_there_twice(
    day: TradingDay, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, database: DatabaseUrls
) -> None:
    drop_key(database, "settlement_usagededup")
    first, second = race(pool, monkeypatch, day, EVENTS, EVENTS, waits=False)
    assert set(first) == set(second) == {("accepted", "accepted")}
    assert UsageEvent.objects.count() == 100


def test_of_two_calls_that_contradict_each_other_one_stands(
    day: TradingDay, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = race(pool, monkeypatch, day, [usage("r0", 10)], [usage("r0", 11), usage("r1", 5)])
    assert (first, second) == ([("accepted", "accepted")], [("conflict", "conflict"), ("accepted", "accepted")])
    assert set(UsageEvent.objects.values_list("event_id", "input_uncached")) == {("r0", 10), ("r1", 5)}


def test_of_two_corrections_of_an_event_one_replaces_it(
    day: TradingDay, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    day.report("provider-1", EVENTS[:1])
    first, second = race(pool, monkeypatch, day, [correction("c1", 7)], [correction("c2", 8)])
    assert (first, second) == ([("accepted", "accepted")], [("quarantined", "supersedes_corrected")])
    assert list(UsageSupersession.objects.values_list("event_id", "by_event_id")) == [("r0", "c1")]
    counting = UsageEvent.objects.filter(quarantine_reason=None)
    assert set(counting.values_list("event_id", flat=True)) == {"r0", "c1"}


def test_control_without_the_key_of_supersessions_both_replace_it(
    day: TradingDay, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, database: DatabaseUrls
) -> None:
    day.report("provider-1", EVENTS[:1])
    drop_key(database, "settlement_usagesupersession")
    first, second = race(pool, monkeypatch, day, [correction("c1", 7)], [correction("c2", 8)], waits=False)
    assert first == second == [("accepted", "accepted")]
    assert UsageSupersession.objects.count() == 2


def test_eight_processes_with_overlapping_calls_store_each_event_once(
    day: TradingDay, pool: ThreadPoolExecutor
) -> None:
    """Each starts elsewhere, and goes around: locks taken in the order of arrival would close circles."""
    told = []
    for again in range(3):
        events = [usage(f"r{again}-{number}", 10) for number in range(200)]
        reports = [started(pool, day, events[at:] + events[:at]) for at in range(0, 200, 25)]
        told += [each for report in reports for each in report.result(PATIENCE)]
    assert (told.count(("accepted", "accepted")), told.count(("duplicate", "duplicate"))) == (600, 7 * 600)
    assert UsageEvent.objects.count() == UsageDedup.objects.count() == 600
    assert sum(UsageBatch.objects.values_list("accepted", flat=True)) == 600
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        assert cursor.fetchone() == (0,)
