"""Corrections replace the latest word on a request, once; watermarks come in the order they are counted in."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from settlement.metering.events import AGGREGATE_TYPE, CORRECTION_TYPE, WATERMARK_TYPE
from settlement.metering.signatures import Signed
from settlement.metering.signed_calls import Signer
from settlement.models import (
    Meter,
    PendingRollup,
    UsageBatch,
    UsageDedup,
    UsageEvent,
    UsageSupersession,
    UsageWatermark,
)
from tests.integration.settlement.trading_day import END, START, SYMBOL, TradingDay, usage

ROOT = "cd" * 32


@pytest.fixture
def delivered(day: TradingDay) -> TradingDay:
    day.deliver()
    return day


def correction(event_id: str, supersedes: str, tokens: int = 500, request_id: str = "r", **data: Any) -> dict[str, Any]:
    event = usage(
        request_id, tokens, supersedes=supersedes, why="counted wrong", **({"replacement": "completed"} | data)
    )
    return event | {"id": event_id, "type": CORRECTION_TYPE}


def codes(results: Any) -> list[str]:
    return [result.code for result in results]


def superseded() -> set[tuple[str, str]]:
    return set(UsageSupersession.objects.values_list("event_id", "by_event_id"))


def test_a_correction_replaces_and_both_stay_visible(delivered: TradingDay) -> None:
    delivered.report("provider-1", [usage("r", 1_000)])
    assert codes(delivered.report("provider-1", [correction("c1", "r")])) == ["accepted"]
    assert codes(delivered.report("provider-1", [correction("c1", "r")])) == ["duplicate"]
    void = correction("c2", "c1", replacement="void")
    assert codes(delivered.report("provider-1", [void])) == ["accepted"]
    assert superseded() == {("r", "c1"), ("c1", "c2")}
    kept = UsageEvent.objects.order_by("batch_id").values_list("event_id", "kind", "millitokens", "supersedes", "why")
    assert list(kept) == [
        ("r", "completed", 1_000_000, None, None),
        ("c1", "completed", 500_000, "r", "counted wrong"),
        ("c2", "void", 0, "c1", "counted wrong"),
    ]
    assert UsageSupersession.objects.get(event_id="r").contract_id == delivered.contract.id


def test_a_chain_may_come_in_one_call_in_its_order(delivered: TradingDay) -> None:
    chain = [
        correction("c0", "r"),
        usage("r", 1_000),
        correction("c1", "r"),
        correction("c2", "c1"),
        correction("c3", "r"),
    ]
    expected = ["supersedes_unknown", "accepted", "accepted", "accepted", "supersedes_corrected"]
    assert codes(delivered.report("provider-1", chain)) == expected
    assert superseded() == {("r", "c1"), ("c1", "c2")}
    assert codes(delivered.report("provider-1", chain)) == ["duplicate"] * 5


def test_a_correction_that_fits_nothing_is_kept_aside_and_the_old_event_stands(delivered: TradingDay) -> None:
    delivered.report("provider-1", [usage("r", 1_000), usage("s", 1_000)])
    delivered.report("provider-2", [usage("foreign", 1_000, provider="provider-2")])
    delivered.report("provider-1", [correction("c1", "s", request_id="s")])
    misfits = [
        (correction("x1", "nothing"), "supersedes_unknown"),
        (correction("x2", "foreign"), "supersedes_unknown"),
        (correction("x3", "s", request_id="s"), "supersedes_corrected"),
        (correction("x4", "r", request_id="other"), "supersedes_other_request"),
        (correction("x5", "r", buyer="buyer-2"), "supersedes_other_request"),
        (correction("x6", "r", usage={"input": -1, "output": 0}), "negative_count"),
        (correction("x7", "nothing", usage={"input": -1, "output": 0}), "supersedes_unknown"),
        (correction("x8", "nothing", accepted_at=END.isoformat()), "outside_window"),
        (correction("x9", "x6"), "supersedes_unknown"),
    ]
    assert codes(delivered.report("provider-1", [event for event, _ in misfits])) == [code for _, code in misfits]
    assert superseded() == {("s", "c1")}
    aside = UsageEvent.objects.filter(event_id__startswith="x")
    assert {event.event_id: event.quarantine_reason for event in aside} == {
        event["id"]: code for event, code in misfits
    }
    assert {event.millitokens for event in aside} == {0}
    assert codes(delivered.report("provider-1", [correction("c2", "x6")])) == ["supersedes_unknown"]
    assert codes(delivered.report("provider-1", [correction("c3", "r")])) == ["accepted"]


def test_what_was_kept_aside_may_be_corrected(delivered: TradingDay) -> None:
    bad = usage("r", 1_000, usage={"input": 10, "output": 0, "total": 12})
    assert codes(delivered.report("provider-1", [bad, correction("c", "r")])) == ["unexplained_tokens", "accepted"]
    assert superseded() == {("r", "c")}


def test_a_conflict_corrects_nothing(delivered: TradingDay) -> None:
    delivered.report("provider-1", [usage("r", 1_000), usage("s", 1_000)])
    delivered.report("provider-1", [correction("c", "r")])
    assert codes(delivered.report("provider-1", [correction("c", "s", request_id="s")])) == ["conflict"]
    assert superseded() == {("r", "c")}


def test_of_two_corrections_at_once_one_wins(delivered: TradingDay) -> None:
    delivered.report("provider-1", [usage("r", 1_000)])
    found: list[str] = []
    ready = threading.Barrier(4)

    def work(number: int) -> None:
        try:
            ready.wait()
            found.extend(codes(delivered.report("provider-1", [correction(f"c{number}", "r")])))
        finally:
            connection.close()

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(found) == ["accepted", *["supersedes_corrected"] * 3]
    assert UsageSupersession.objects.count() == 1
    assert UsageEvent.objects.exclude(supersedes=None).filter(quarantine_reason=None).count() == 1


def watermark(sequence: int, minutes: int, event_id: str = "", **data: Any) -> dict[str, Any]:
    told = {"contract": SYMBOL, "up_to": (START + timedelta(minutes=minutes)).isoformat(), "sequence": sequence}
    event = usage(event_id or f"w{sequence}", 0) | {"type": WATERMARK_TYPE}
    return event | {"data": told | {"events": 3, "root": ROOT} | data}


def test_a_watermark_is_kept_once_and_is_no_event(delivered: TradingDay) -> None:
    assert codes(delivered.report("provider-1", [watermark(1, 30)])) == ["accepted"]
    assert codes(delivered.report("provider-1", [watermark(1, 30), watermark(1, 31)])) == ["duplicate", "conflict"]
    kept = UsageWatermark.objects.get()
    assert (kept.sequence, kept.up_to, kept.events, bytes(kept.root).hex()) == (
        1, START + timedelta(minutes=30), 3, ROOT,
    )  # fmt: skip
    assert (kept.contract_id, kept.event_id) == (delivered.contract.id, "w1")
    assert (UsageEvent.objects.count(), UsageDedup.objects.count()) == (0, 1)
    first, second = UsageBatch.objects.order_by("id")
    assert (first.accepted, second.accepted, second.duplicates, second.conflicts) == (1, 0, 1, 1)
    assert kept.batch_id == first.id


def test_a_watermark_that_contradicts_another_is_rejected(delivered: TradingDay) -> None:
    call = [watermark(1, 10), watermark(3, 30), watermark(2, 20), watermark(4, 30)]
    assert codes(delivered.report("provider-1", call)) == ["accepted"] * 4
    wrong = [watermark(5, 29), watermark(0, 40, "w0"), watermark(3, 30, "again"), watermark(5, 90), watermark(6, 40)]
    results = delivered.report("provider-1", [*wrong, watermark(7, 39)])
    assert codes(results) == [*["watermark_out_of_order"] * 4, "accepted", "watermark_out_of_order"]
    assert {result.status.value for result in results} == {"rejected", "accepted"}
    assert set(UsageWatermark.objects.values_list("sequence", flat=True)) == {1, 2, 3, 4, 6}
    assert not UsageDedup.objects.filter(event_id__in=["w0", "again", "w5", "w7"]).exists()
    other = [event | {"source": "meter/buyer-1"} for event in (watermark(1, 60), watermark(2, 60))]
    assert codes(delivered.report("buyer-1", other)) == ["accepted"] * 2


def test_of_two_watermarks_at_once_with_one_number_one_is_kept(delivered: TradingDay) -> None:
    found: list[str] = []
    ready = threading.Barrier(3)

    def work(number: int) -> None:
        try:
            ready.wait()
            found.extend(codes(delivered.report("provider-1", [watermark(1, 30, f"w{number}")])))
        finally:
            connection.close()

    workers = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(found) == ["accepted", "watermark_out_of_order", "watermark_out_of_order"]
    assert (UsageWatermark.objects.count(), UsageDedup.objects.count()) == (1, 1)


def signer_of(code: str) -> Signer:
    """As if the call had come signed by the meter: what is kept of it is not looked at here."""
    meter = Meter.objects.get(code=code)
    return Signer(1, meter.id, meter.code, Signed("", "", 0, b""))


def test_an_aggregate_counts_in_a_call_that_its_meter_signed(delivered: TradingDay) -> None:
    event = usage("a", 5_000, minute=START.isoformat(), requests=5, records_root=ROOT) | {"type": AGGREGATE_TYPE}
    unsigned = event | {"id": "unsigned"}
    assert codes(delivered.report("provider-1", [unsigned])) == ["aggregate_not_signed"]
    foreign = signer_of("meter/buyer-1")
    assert codes(delivered.report("provider-1", [event], foreign)) == ["not_signed_by_meter"]
    assert codes(delivered.report("provider-1", [event], signer_of("meter/provider-1"))) == ["accepted"]
    kept = UsageEvent.objects.get(event_id="a")
    assert (kept.kind, kept.requests, kept.request_id, kept.accepted_at) == ("aggregate", 5, "", START)
    assert (kept.millitokens, bytes(kept.records_root or b"").hex()) == (5_000_000, ROOT)
    assert PendingRollup.objects.count() == 1


def test_a_meter_may_want_nothing_unsigned(delivered: TradingDay) -> None:
    Meter.objects.filter(code="meter/provider-1").update(signature_required=True)
    event = usage("r", 1_000)
    assert codes(delivered.report("provider-1", [event])) == ["signature_required"]
    assert codes(delivered.report("provider-1", [event], signer_of("meter/provider-1"))) == ["accepted"]
