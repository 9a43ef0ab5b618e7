from __future__ import annotations

import hashlib
import threading
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection

from settlement.commands.decide_ruling import confirm_ruling
from settlement.commands.propose_ruling import ProposeRuling, propose_ruling
from settlement.market import SettledContract, load_contracts
from settlement.metering.buckets import SETTLED_BUCKETS
from settlement.metering.pair_figures import NO_EVENTS
from settlement.metering.pair_rules import ContractRules, load_rules
from settlement.metering.reconcile_queue import due_contracts, enqueue
from settlement.metering.reconciling import reconcile_due
from settlement.metering.records import CaseKind, RecordKind, Ruling, Side
from settlement.metering.usage_records import read_pairs
from settlement.models import (
    CaseEntryKind,
    CaseState,
    DiscrepancyCase,
    EventKind,
    PairReconciliation,
    ReconcileQueue,
    RunKind,
)
from tests.conftest import DatabaseUrls
from tests.integration.settlement.trading_day import START, TradingDay
from tests.integration.settlement.usage_rows import BUYER, LATER, PROVIDER, UsageRows, only_case, reconcile

# Reading


def test_records_are_all_that_counts_and_the_digest_is_over_their_hashes(day: TradingDay, rows: UsageRows) -> None:
    started = rows.keep(PROVIDER, "a", kind=EventKind.STARTED)
    kept = rows.keep(PROVIDER, "a", output_visible=3, input_tool=2, retry_of="z")
    rows.keep(PROVIDER, "b", output_visible=9, quarantine_reason="outside_window")
    rows.keep(BUYER, "c", output_visible=9, event_id="wrong")
    corrected = rows.keep(BUYER, "c", output_visible=8, replaces="wrong")
    rows.keep(BUYER, "d", output_visible=9, event_id="never")
    void = rows.keep(BUYER, "d", kind=EventKind.VOID, replaces="never")
    refused = rows.keep(BUYER, "e", kind=EventKind.REFUSED, refusal_reason="capacity", millitokens=700)
    for event in (kept, corrected, refused):
        rows.sign(event)
    rows.keep("meter/buyer-2", "f", buyer="buyer-2", output_visible=1)
    first, second = read_pairs(load_contracts([day.contract.id])[day.contract.id])
    assert (first.events, first.corrections, first.signed) == (5, 2, {Side.PROVIDER: 1, Side.BUYER: 2})
    assert (second.buyer_id, second.events) == (day.parties["buyer-2"].id, 1)
    hashes = sorted(bytes(event.content_hash) for event in (started, kept, corrected, void, refused))
    assert first.digest == hashlib.sha256(b"".join(hashes)).hexdigest() != NO_EVENTS
    told = {(record.side, record.request_id, record.kind): record for record in first.records}
    assert told.keys() == {
        (Side.PROVIDER, "a", RecordKind.STARTED),
        (Side.PROVIDER, "a", RecordKind.COMPLETED),
        (Side.BUYER, "c", RecordKind.COMPLETED),
        (Side.BUYER, "e", RecordKind.REFUSED),
    }
    record = told[Side.PROVIDER, "a", RecordKind.COMPLETED]
    counts = {bucket.value: count for bucket, count in zip(SETTLED_BUCKETS, record.tokens, strict=True) if count}
    assert counts == {"output_visible": 3, "input_tool": 2}
    assert (record.millitokens, record.retry_of, record.received_at) == (14_000, "z", LATER)
    assert told[Side.BUYER, "c", RecordKind.COMPLETED].millitokens == 32_000


# Cases


def test_inflated_reasoning_opens_a_case_for_both_sides_and_the_same_again_changes_nothing(
    day: TradingDay, rows: UsageRows
) -> None:
    for number in range(3):
        rows.keep(PROVIDER, f"r{number}", output_visible=100, output_reasoning=300)
        rows.keep(BUYER, f"r{number}", output_visible=100, output_reasoning=200)
    rows.both("fine", 100, 100)
    reconcile(day)
    case = only_case()
    assert (case.kind, case.state, case.requests) == (CaseKind.FIGURES_DIFFER, CaseState.OPEN, 3)
    assert (case.provider_millitokens, case.buyer_millitokens) == (3 * 400 * 4_000, 3 * 300 * 4_000)
    assert case.settled_millitokens == case.buyer_millitokens
    (entry,) = case.entries.all()
    assert entry.details["buckets"]["output_reasoning"] == {"provider": "900", "buyer": "600"}
    assert [shown["request_id"] for shown in entry.details["shown"]] == ["r0", "r1", "r2"]
    (kept,) = PairReconciliation.objects.all()
    assert (kept.revision, kept.compared_requests, kept.differing_requests) == (1, 1, 0)
    assert kept.figures["verdicts"] == {"matched": "1", "conflict": "3"}
    assert kept.figures["settled_millitokens"] == str(3 * 300 * 4_000 + 400_000)
    reconcile(day)
    assert PairReconciliation.objects.count() == case.entries.count() == 1


def test_a_case_follows_the_figures_resolves_and_is_found_again(day: TradingDay, rows: UsageRows) -> None:
    rows.both("a", 200, 100)
    reconcile(day)
    rows.both("b", 200, 100)
    reconcile(day)
    assert (only_case().state, only_case().requests) == (CaseState.OPEN, 2)
    propose_ruling(ProposeRuling(only_case().pk, Ruling.BUYER, "The text is at hand."), actor="one", now=day.clock.at)
    for request_id, event_id in (("a", "a-1"), ("b", "b-3")):
        rows.keep(PROVIDER, request_id, output_visible=100, event_id=f"{event_id}'", replaces=event_id)
    reconcile(day)
    case = only_case()
    assert (case.state, case.requests, case.ruling, case.proposed_by) == (CaseState.RESOLVED, 0, "", "")
    rows.both("c", 200, 100)
    reconcile(day)
    assert (only_case().state, only_case().requests) == (CaseState.OPEN, 1)
    told = list(case.entries.order_by("sequence").values_list("kind", flat=True))
    assert told == ["found", "found", "proposal", "resolution", "found"]
    revisions = PairReconciliation.objects.order_by("revision").values_list("revision", flat=True)
    assert list(revisions) == [1, 2, 3, 4]


def test_every_kind_has_a_case_of_its_own(day: TradingDay, rows: UsageRows) -> None:
    rows.both("differs", 200, 100)
    rows.keep(PROVIDER, "denied", output_visible=5)
    rows.keep(BUYER, "denied", kind=EventKind.REFUSED, refusal_reason="capacity", millitokens=700)
    rows.keep(BUYER, "claimed", kind=EventKind.REFUSED, refusal_reason="capacity", millitokens=700)
    rows.keep(PROVIDER, "alone", output_visible=6)
    rows.keep(PROVIDER, "lost", kind=EventKind.STARTED)
    rows.both("twice", 7, 7)
    rows.keep(PROVIDER, "twice", output_visible=8)
    rows.watermark(BUYER)
    reconcile(day)
    found = {case.kind: (case.requests, case.settled_millitokens) for case in DiscrepancyCase.objects.all()}
    assert found == {
        CaseKind.FIGURES_DIFFER: (1, 400_000),
        CaseKind.DELIVERY_DENIED: (1, 0),
        CaseKind.REFUSAL_CLAIMED: (1, 0),
        CaseKind.PROVIDER_ALONE: (1, 0),
        CaseKind.LOST_END: (1, 0),
        CaseKind.REPEATED_REQUEST: (1, 28_000),
    }


def test_a_provider_alone_is_paid_while_the_buyers_meter_has_not_said_that_it_sent_everything(
    day: TradingDay,
) -> None:
    day.sell("provider-1", 1, 420)
    day.buy("buyer-1", 1, 420)
    day.deliver()
    day.clock.at, rows = LATER, UsageRows(day)
    rows.keep(PROVIDER, "a", output_visible=5)
    rows.keep(BUYER, "elsewhere", kind=EventKind.STARTED, provider="provider-2")
    reconcile(day)
    assert not DiscrepancyCase.objects.filter(kind=CaseKind.PROVIDER_ALONE).exists()
    rows.watermark(BUYER)
    reconcile(day)
    case = DiscrepancyCase.objects.get(kind=CaseKind.PROVIDER_ALONE)
    assert (case.provider_millitokens, case.settled_millitokens) == (20_000, 0)


def test_a_decided_ruling_settles_and_does_not_reach_what_the_winner_sends_later(
    day: TradingDay, rows: UsageRows
) -> None:
    rows.both("a", 200, 100)
    reconcile(day)
    propose_ruling(ProposeRuling(only_case().pk, Ruling.PROVIDER, "Recounted."), actor="one", now=day.clock.at)
    confirm_ruling(only_case().pk, actor="two", now=day.clock.at)
    assert due_contracts(now=day.clock.at, limit=9) == [day.contract.id]
    assert reconcile_due(now=day.clock.at) == 1
    assert (only_case().state, only_case().settled_millitokens) == (CaseState.DECIDED, 800_000)
    day.clock.at += timedelta(seconds=1)
    rows.both("b", 200, 100)
    reconcile(day)
    assert (only_case().state, only_case().requests, only_case().settled_millitokens) == (
        CaseState.DECIDED,
        2,
        800_000 + 400_000,
    )
    assert only_case().entries.filter(kind=CaseEntryKind.FOUND).count() == 3


def test_what_came_between_a_proposal_and_its_confirmation_is_not_ruled_on(day: TradingDay, rows: UsageRows) -> None:
    """The operators looked at what there was when the first of them proposed."""
    rows.both("a", 200, 100)
    reconcile(day)
    propose_ruling(ProposeRuling(only_case().pk, Ruling.PROVIDER, "Recounted."), actor="one", now=day.clock.at)
    day.clock.at += timedelta(seconds=1)
    rows.both("b", 9_000_000, 100)
    confirm_ruling(only_case().pk, actor="two", now=day.clock.at + timedelta(seconds=1))
    reconcile(day)
    assert only_case().settled_millitokens == 800_000 + 400_000


def test_figures_of_a_case_go_beyond_any_single_one(day: TradingDay, rows: UsageRows) -> None:
    for number in range(12):
        rows.keep("meter/provider-1", f"r{number}", output_visible=10**15, millitokens=10**18)
        rows.keep("meter/buyer-1", f"r{number}", output_visible=10**14, millitokens=10**17)
    rows.both("agreed", 10**18, 10**18 - 10**15, millitokens=10**18)
    reconcile(day)
    assert (only_case().provider_millitokens, only_case().settled_millitokens) == (12 * 10**18, 12 * 10**17)
    kept = PairReconciliation.objects.get()
    assert (kept.difference_millitokens, kept.tolerance_millitokens) == (
        10**15 * 4_000,
        10**18 // 200 * 4_000 + 2 * 1_000,
    )


def test_strangers_open_no_cases_against_each_other(day: TradingDay, rows: UsageRows) -> None:
    """One that says so alone has not dealt with the other; a fill or the other's word makes it a matter of both."""
    for number in range(3):
        rows.keep("meter/provider-2", f"s{number}", kind=EventKind.STARTED, provider="provider-2", buyer="buyer-3")
    reconcile(day)
    assert not DiscrepancyCase.objects.exists()
    assert PairReconciliation.objects.exists()
    rows.keep("meter/buyer-3", "t", output_visible=5, provider="provider-2", buyer="buyer-3")
    reconcile(day)
    assert only_case().kind == CaseKind.LOST_END


# The line


def test_a_contract_keeps_its_place_and_leaves_when_it_is_done(day: TradingDay, rows: UsageRows) -> None:
    rows.both("a", 100, 100)
    enqueue([day.contract.id], now=START)
    enqueue([day.contract.id, day.contract.id], now=LATER)
    waiting = ReconcileQueue.objects.get()
    assert (waiting.since, waiting.turn) == (START, 2)
    assert reconcile_due(now=LATER - timedelta(microseconds=1)) == 0
    assert reconcile_due(now=LATER) == 1
    assert not ReconcileQueue.objects.exists()
    assert PairReconciliation.objects.count() == 1


def test_what_changes_while_a_contract_is_reconciled_keeps_it_in_line(
    day: TradingDay, rows: UsageRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue([day.contract.id], now=START)
    rows.both("a", 100, 100)

    def meanwhile(contract: SettledContract) -> ContractRules:
        writer = threading.Thread(target=_enqueue_elsewhere, args=(day.contract.id,))
        writer.start()
        writer.join(30)
        assert not writer.is_alive(), "the writer waits for the reconciliation"
        return load_rules(contract)

    monkeypatch.setattr("settlement.metering.reconciling.load_rules", meanwhile)
    reconcile(day)
    assert ReconcileQueue.objects.get().turn == 2


def _enqueue_elsewhere(contract_id: int) -> None:
    try:
        enqueue([contract_id], now=LATER)
    finally:
        connection.close()


def test_a_contract_that_fails_goes_to_the_end_and_holds_nobody_up(
    day: TradingDay, rows: UsageRows, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rows.both("a", 100, 100)
    enqueue([day.contract.id], now=START)

    def fails(contract: object) -> None:
        raise ValueError("on purpose")

    with monkeypatch.context() as patch:
        patch.setattr("settlement.metering.reconciling.load_rules", fails)
        assert reconcile_due(now=LATER) == 1
    assert ReconcileQueue.objects.get().since == LATER
    assert "on purpose" in caplog.text
    assert reconcile_due(now=LATER) == 1
    assert not ReconcileQueue.objects.exists()


def test_after_the_final_run_has_begun_there_is_nothing_to_reconcile(day: TradingDay) -> None:
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    day.settle()
    day.settle(RunKind.FINAL)
    day.clock.at = LATER
    enqueue([day.contract.id], now=LATER)
    assert reconcile_due(now=LATER) == 0
    assert not ReconcileQueue.objects.exists()


def test_cases_follow_the_usage_until_the_true_up_has_begun(day: TradingDay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SETTLEMENT_TRUE_UP_LAG_SECONDS", 7_200)
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    day.settle()
    day.settle(RunKind.FINAL)
    day.clock.at = LATER
    enqueue([day.contract.id], now=LATER)
    assert reconcile_due(now=LATER) == 1
    day.settle(RunKind.TRUE_UP)
    enqueue([day.contract.id], now=LATER)
    assert reconcile_due(now=LATER) == 0
    assert not ReconcileQueue.objects.exists()


def test_rules_of_a_pair_are_the_same_for_the_job_and_for_settlement(day: TradingDay, rows: UsageRows) -> None:
    rows.both("a", 200, 100)
    rows.watermark(BUYER)
    rules = load_rules(load_contracts([day.contract.id])[day.contract.id])
    of_pair = rules.of_pair(day.parties["buyer-1"].id, day.parties["provider-1"].id)
    assert of_pair.as_dict() == {"tolerance_zero": False, "complete": ["buyer"], "rulings": {}}


def test_two_that_reconcile_a_contract_at_once_leave_one_revision(
    day: TradingDay, rows: UsageRows, database: DatabaseUrls
) -> None:
    rows.both("a", 200, 100)
    ready = threading.Barrier(2)
    failed: list[BaseException] = []

    def work() -> None:
        try:
            ready.wait(30)
            reconcile(day)
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert failed == []
    assert PairReconciliation.objects.count() == only_case().entries.count() == 1
