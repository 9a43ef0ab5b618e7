"""Usage in: one result an event, nothing twice, nothing lost, nothing that stops the rest."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import ProgrammingError, connection

from ledger.api.errors import InvalidRequest
from settlement.errors import BatchTooLarge
from settlement.metering.bodies import MAX_BATCH
from settlement.metering.judge import MAX_EVENT_MILLITOKENS
from settlement.metering.results import ItemStatus
from settlement.models import (
    PendingRollup,
    RunKind,
    RunState,
    UnmatchedUsage,
    UsageBatch,
    UsageConflict,
    UsageDedup,
    UsageEvent,
)
from tests.conftest import DatabaseUrls
from tests.integration.settlement.trading_day import END, TradingDay, requests, usage

HALF = "\ud800"


def statuses(results: Any) -> list[tuple[str, str]]:
    return [(result.status.value, result.code) for result in results]


@pytest.fixture
def delivered(day: TradingDay) -> TradingDay:
    day.deliver()
    return day


def test_a_repeated_batch_gives_duplicates_and_changes_nothing(delivered: TradingDay) -> None:
    events = requests(3_000)
    assert statuses(delivered.report("provider-1", events)) == [("accepted", "accepted")] * 3
    assert statuses(delivered.report("provider-1", events)) == [("duplicate", "duplicate")] * 3
    assert statuses(delivered.report("provider-1", [events[0], events[0]])) == [("duplicate", "duplicate")] * 2
    assert (UsageEvent.objects.count(), UsageDedup.objects.count(), UsageConflict.objects.count()) == (3, 3, 0)
    event = UsageEvent.objects.get(event_id="r0")
    assert (event.millitokens, event.quarantine_reason, event.input_uncached) == (1_000_000, None, 1_000)


def test_the_same_event_twice_in_one_batch_counts_once(delivered: TradingDay) -> None:
    (event,) = requests(1_000)
    other = usage("r0", 2_000)
    results = delivered.report("provider-1", [event, event, other])
    assert statuses(results) == [("accepted", "accepted"), ("duplicate", "duplicate"), ("conflict", "conflict")]
    assert UsageEvent.objects.count() == 1
    assert json.loads(bytes(UsageConflict.objects.get().raw))["data"]["usage"]["input"] == 2_000


def test_other_content_under_the_same_id_is_a_conflict_kept_once(delivered: TradingDay) -> None:
    delivered.report("provider-1", [usage("r0", 1_000)])
    for _ in range(2):
        (result,) = delivered.report("provider-1", [usage("r0", 9_000)])
        assert result.status is ItemStatus.CONFLICT
    assert UsageConflict.objects.count() == 1
    assert UsageEvent.objects.get().millitokens == 1_000_000


def test_headers_that_are_not_content_do_not_make_a_conflict(delivered: TradingDay) -> None:
    event = usage("r0", 1_000)
    delivered.report("provider-1", [event])
    (result,) = delivered.report("provider-1", [event | {"traceparent": "00-ab\x00", "dataschema": ""}])
    assert result.status is ItemStatus.DUPLICATE


def without(event: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != name}


def with_data(**changes: Any) -> dict[str, Any]:
    event = usage("bad", 1_000)
    return event | {"data": event["data"] | changes}


NESTED: Any = []
for _ in range(30):
    NESTED = [NESTED]


BROKEN: list[tuple[Any, str]] = [
    ("not an event", "invalid_event"),
    (None, "invalid_event"),
    ({}, "invalid_event"),
    (usage("bad", 1_000) | {"specversion": "0.3"}, "invalid_event"),
    (usage("bad", 1_000) | {"type": "something.else"}, "invalid_event"),
    (usage("bad", 1_000) | {"data": []}, "invalid_event"),
    (without(usage("bad", 1_000), "id"), "invalid_event"),
    (without(usage("bad", 1_000), "time"), "invalid_event"),
    (usage("bad", 1_000) | {"id": "nul\x00"}, "invalid_event"),
    (usage("bad", 1_000) | {"id": "x" * 121}, "invalid_event"),
    (usage("bad", 1_000) | {"id": HALF}, "invalid_event"),
    (usage("bad", 1_000) | {"id": 7}, "invalid_event"),
    (usage("bad", 1_000) | {"source": "meter/nobody"}, "unknown_meter"),
    (usage("bad", 1_000) | {"source": "meter/buyer-1"}, "unknown_meter"),
    (with_data(contract="NO.SUCH@20261201T14/1H"), "unknown_contract"),
    (with_data(buyer="nobody"), "unknown_party"),
    (with_data(provider="provider-2"), "not_your_usage"),
    (with_data(accepted_at="2026-12-01T14:00:00"), "invalid_event"),
    (with_data(accepted_at="yesterday"), "invalid_event"),
    (with_data(accepted_at="0001-01-01T00:00:00+14:00"), "invalid_event"),
    (with_data(usage={"input": 1, "output": 0, "note": "a\x00b"}), "invalid_event"),
    (with_data(usage={"input": 1, "output": 0, "note": HALF}), "invalid_event"),
    (with_data(usage={"input": float("inf"), "output": 0}), "invalid_event"),
    (with_data(usage=NESTED), "invalid_event"),
    (with_data(usage={"text": "x" * 20_000}), "event_too_large"),
    (usage("bad", 1_000, refused="tired"), "invalid_event"),
]


def test_a_broken_event_is_rejected_with_its_reason_and_the_others_go_on(delivered: TradingDay) -> None:
    sound = [usage(f"r{number}", 1_000) for number in range(len(BROKEN))]
    batch = [each for pair in zip([event for event, _ in BROKEN], sound, strict=True) for each in pair]
    results = delivered.report_body("provider-1", json.dumps(batch).encode())
    assert statuses(results[::2]) == [("rejected", code) for _, code in BROKEN]
    assert all(result.message for result in results[::2])
    assert statuses(results[1::2]) == [("accepted", "accepted")] * len(sound)
    assert UsageEvent.objects.count() == len(sound)


ASIDE: list[tuple[Any, str]] = [
    (with_data(family="unheard_of"), "unknown_family"),
    (with_data(usage=None), "no_usage"),
    (with_data(usage=[1, 2]), "malformed"),
    (with_data(usage={"input": -1, "output": 0}), "negative_count"),
    (with_data(usage={"input": 1.5, "output": 0}), "invalid_count"),
    (with_data(usage={"input": 10**30, "output": 0}), "count_out_of_range"),
    (with_data(usage={"input": 2**53 - 1, "output": 2**53 - 1}), "count_out_of_range"),
    (with_data(usage={"input": 10, "cached": 11, "output": 0}), "parts_exceed_whole"),
    (with_data(usage={"input": 10, "output": 0, "total": 12}), "unexplained_tokens"),
    (with_data(accepted_at=(END).isoformat()), "outside_window"),
    (with_data(accepted_at="1999-01-01T00:00:00Z"), "too_old"),
    (with_data(accepted_at="9999-12-31T23:59:59Z"), "in_future"),
    (usage("bad", 1_000) | {"time": "1999-01-01T00:00:00Z"}, "too_old"),
    (with_data(family="unheard_of", accepted_at=END.isoformat()), "outside_window"),
]


def test_what_cannot_be_settled_is_kept_aside_with_its_reason(delivered: TradingDay) -> None:
    batch = [event | {"id": f"bad{number}"} for number, (event, _) in enumerate(ASIDE)]
    results = delivered.report("provider-1", [*batch, usage("r1", 1_000)])
    assert statuses(results) == [*(("quarantined", reason) for _, reason in ASIDE), ("accepted", "accepted")]
    kept = UsageEvent.objects.exclude(quarantine_reason=None)
    assert {event.event_id: event.quarantine_reason for event in kept} == {
        f"bad{number}": reason for number, (_, reason) in enumerate(ASIDE)
    }
    assert {event.millitokens for event in kept} == {0}
    assert statuses(delivered.report("provider-1", batch)) == [("duplicate", "duplicate")] * len(batch)


def test_no_meter_can_report_so_much_that_a_contract_cannot_be_settled(delivered: TradingDay) -> None:
    most = MAX_EVENT_MILLITOKENS // 1_000
    fair = [usage(f"r{number}", most, buyer="buyer-2") for number in range(1_200)]
    assert {result.code for result in delivered.report("provider-1", fair)} == {"accepted"}
    above = [usage(f"x{number}", 9 * 10**15, buyer="buyer-2") for number in range(1_200)]
    assert {result.code for result in delivered.report("provider-1", above)} == {"count_out_of_range"}
    run = delivered.settle()
    assert run.state == RunState.PUBLISHED
    assert UnmatchedUsage.objects.get(run=run).tokens == 1_200 * most


def test_usage_of_the_future_is_kept_aside(day: TradingDay) -> None:
    day.clock.at = END - timedelta(minutes=30)
    day.sweep_contracts()
    near, far = (usage(f"r{minutes}", 10, at=day.clock.at + timedelta(minutes=minutes)) for minutes in (4, 6))
    assert statuses(day.report("provider-1", [near, far])) == [("accepted", "accepted"), ("quarantined", "in_future")]


def test_usage_after_the_final_run_has_begun_is_kept_aside(delivered: TradingDay) -> None:
    delivered.settle()
    assert statuses(delivered.report("provider-1", [usage("late", 10)])) == [("accepted", "accepted")]
    delivered.settle(RunKind.FINAL)
    results = delivered.report("provider-1", [usage("too-late", 10)])
    assert statuses(results) == [("quarantined", "after_final_run")]


def test_a_batch_has_a_limit(delivered: TradingDay) -> None:
    with pytest.raises(BatchTooLarge):
        delivered.report("provider-1", [None] * (MAX_BATCH + 1))
    with pytest.raises(InvalidRequest):
        delivered.report("provider-1", [])
    assert not UsageBatch.objects.exists()


def test_two_workers_with_the_same_events_write_each_once(delivered: TradingDay) -> None:
    events = requests(200_000, each=100)
    results: list[list[str]] = []

    def work(batch: list[dict[str, Any]]) -> None:
        try:
            results.append([result.status.value for result in delivered.report("provider-1", batch)])
        finally:
            connection.close()

    workers = [threading.Thread(target=work, args=(batch,)) for batch in (events, events[::-1], events)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    answers = [status for statuses in results for status in statuses]
    assert (answers.count("accepted"), answers.count("duplicate")) == (2_000, 4_000)
    assert UsageEvent.objects.count() == 2_000


def test_a_call_that_the_database_breaks_off_for_another_is_written_again(
    delivered: TradingDay, database: DatabaseUrls
) -> None:
    identity = "INSERT INTO settlement_usagededup SELECT id, 0, 0, %s, '' FROM settlement_meter WHERE code = %s"
    results: list[tuple[str, str]] = []

    def work() -> None:
        try:
            results.extend(statuses(delivered.report("provider-1", [usage("a", 10), usage("b", 10)])))
        finally:
            connection.close()

    with psycopg.connect(database.app_url) as other, psycopg.connect(database.app_url, autocommit=True) as watcher:
        other.execute(identity, ["b", "meter/provider-1"])
        worker = threading.Thread(target=work)
        worker.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
        while watcher.execute(waiting).fetchone() == (0,):
            time.sleep(0.01)
        other.execute(identity, ["a", "meter/provider-1"])  # against the order of keys: a circle
        assert results == []
        other.rollback()
        worker.join()
    assert results == [("accepted", "accepted")] * 2
    assert UsageBatch.objects.count() == 1


def test_a_call_is_written_down_with_what_became_of_its_events(delivered: TradingDay) -> None:
    sound = usage("r1", 10)
    aside = with_data(family="unheard_of") | {"id": "aside"}
    delivered.report("provider-1", [sound, sound, usage("r1", 11), aside, "not an event"])
    batch = UsageBatch.objects.get()
    assert (batch.party_id, batch.received_at) == (delivered.parties["provider-1"].id, delivered.clock.at)
    assert (batch.accepted, batch.duplicates, batch.conflicts, batch.quarantined, batch.rejected) == (1, 1, 1, 1, 1)
    events = UsageEvent.objects.order_by("place").values_list("batch_id", "place", "event_id")
    assert list(events) == [(batch.id, 0, "r1"), (batch.id, 3, "aside")]
    assert UsageDedup.objects.get(event_id="aside").place == 3


def test_only_calls_that_brought_something_wait_for_the_roll_up(delivered: TradingDay) -> None:
    for _ in range(2):
        delivered.report("provider-1", [usage("r1", 10)])
    assert UsageBatch.objects.count() == 2
    assert PendingRollup.objects.get().batch_id == UsageEvent.objects.get().batch_id


def test_events_go_to_the_partition_of_the_day_they_came(delivered: TradingDay) -> None:
    delivered.report("provider-1", [usage("r1", 10)])
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM settlement_usageevent")
        assert cursor.fetchone() == ("settlement_usageevent_20261201",)


def test_usage_cannot_be_changed(delivered: TradingDay) -> None:
    delivered.report("provider-1", [usage("r1", 10)])
    for table in ("settlement_usageevent", "settlement_usageevent_20261201", "settlement_usagededup_0"):
        with pytest.raises(ProgrammingError, match="permission denied"), connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {table}")
