"""Bad input through REST: every row of the table comes out as it says, and nothing of it is dropped in silence."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pytest

from exchange.commands.list_contract import ListContract, list_contract
from exchange.commands.list_product import ListProduct, list_product
from ledger.parties.keys import Scope
from settlement.commands.register_meter import RegisterMeter, register_meter
from settlement.commands.register_meter_key import RegisterMeterKey, register_meter_key
from settlement.commands.require_signatures import RequireSignatures, require_signatures
from settlement.metering import ingestion
from settlement.metering.bodies import split_body
from settlement.metering.buckets import QuarantineReason
from settlement.metering.results import IntakeQuarantine, RejectCode
from settlement.models import Meter, MeterKey, MeterSide, RunKind, UsageBatch, UsageConflict, UsageDedup, UsageEvent
from tests.api.client import Answer, Api
from tests.api.live_market import MarketClock, api_of
from tests.api.usage_attacks import SECTIONS, TOO_LATE, Row
from tests.api.usage_calls import NOW, PATH, PUBLIC, Call, call, event
from tests.integration.settlement.trading_day import ACTOR, END, START, TradingDay
from tests.integration.settlement.trading_day import NOW as OPENING
from tests.product_terms import TERMS

DOCUMENT = (ingestion.__file__ or "").replace("ingestion.py", "BAD_INPUT.md")
COUNTED = ("accepted", "duplicate", "conflict", "quarantined", "rejected")


@dataclass
class Door:
    """The usage door of a trading day, with the keys of its parties."""

    day: TradingDay
    apis: dict[tuple[str, str], Api]

    def send(self, made: Call) -> Answer:
        who = made.party, made.scope
        if who not in self.apis:
            self.apis[who] = api_of(self.day.parties[made.party], Scope(made.scope)) if made.party else Api()
        return self.apis[who].call("POST", PATH, made.body, content_type=made.content_type, headers=dict(made.headers))


@pytest.fixture
def door(stopped_clock: None) -> Door:
    """A market in delivery. The first provider has a second meter that signs; a second product weighs too little."""
    clock: Any = MarketClock()
    day = TradingDay(clock)
    provider = day.parties["provider-1"].pk
    second = register_meter(RegisterMeter(provider, "meter/provider-1b", MeterSide.PROVIDER), actor=ACTOR, now=OPENING)
    for meter, public in ((Meter.objects.get(code="meter/provider-1"), PUBLIC), (second, PUBLIC[::-1])):
        register_meter_key(RegisterMeterKey(meter.pk, public), actor=ACTOR, now=OPENING)
    require_signatures(RequireSignatures(second.pk, required=True), actor=ACTOR, now=OPENING)
    list_product(ListProduct("BARE-MODEL.CN-EAST.STD", "Weighs too little", TERMS), actor=ACTOR, now=OPENING)
    window = ListContract("BARE-MODEL.CN-EAST.STD", START, 3_600, OPENING, START, 420, 1, 1_000)
    list_contract(window, actor=ACTOR, now=OPENING)
    day.clock.at = NOW
    assert MeterKey.objects.count() == 2
    return Door(day, {})


def check(door: Door, row: Row, id: str) -> None:
    """Send a row's call; the answer and what is stored are as it says."""
    made = row.make(id)
    before = stored()
    answer = door.send(made)
    after = stored()
    new = {name: after[name] - before[name] for name in after}
    if isinstance(row.status, int):
        answer.problem(row.status, row.code)
        assert set(new.values()) == {0}
        return
    *others, last = answer.ok()["items"]
    assert {item["status"] for item in others} <= {"accepted"}, others
    assert (last["status"], last["code"]) == (row.status, row.code), last
    assert last["message"] or row.status in ("accepted", "duplicate")
    batch = UsageBatch.objects.latest("id")
    told = [batch.accepted, batch.duplicates, batch.conflicts, batch.quarantined, batch.rejected]
    expected = [(row.status == name) + len(others) * (name == "accepted") for name in COUNTED]
    assert told == expected
    kept = len(others) + (row.status in ("accepted", "quarantined"))
    assert (new["calls"], new["identities"], new["conflicts"]) == (1, kept, row.status == "conflict")
    if row.status == "quarantined":
        check_aside(row, last["id"], json.loads(made.body)[-1] if made.body[:1] == b"[" else None)
    elif row.status == "conflict":
        assert json.loads(bytes(UsageConflict.objects.latest("id").raw)) == json.loads(made.body)[-1]


def check_aside(row: Row, id: str, sent: Any) -> None:
    """It is kept with its reason and the object as it came, and moves nothing."""
    kept = UsageEvent.objects.get(event_id=id)
    assert (kept.quarantine_reason, kept.millitokens) == (row.code, 0)
    said = sent["data"].get("usage")
    assert said is None or json.loads(bytes(kept.raw or b"")) == said


def stored() -> dict[str, int]:
    return {
        "calls": UsageBatch.objects.count(),
        "identities": UsageDedup.objects.count(),
        "conflicts": UsageConflict.objects.count(),
    }


def test_every_row_comes_out_as_the_table_says(door: Door) -> None:
    wrong = []
    for number, row in enumerate(chain.from_iterable(SECTIONS.values())):
        try:
            check(door, row, f"row-{number}")
        except AssertionError as error:
            wrong.append(f"{row.what}: {error}")
    assert not wrong, "\n".join(wrong)
    assert door.send(call(event("an honest one"))).ok()["items"][0]["status"] == "accepted"


def test_what_comes_after_the_final_run_is_kept_aside(door: Door) -> None:
    door.day.deliver(END)
    for kind in (RunKind.INITIAL, RunKind.FINAL):
        door.day.settle(kind)
    check(door, TOO_LATE, "late")


def test_one_that_is_wrong_does_not_hold_up_the_others(door: Door) -> None:
    """Every row that concerns one event, all in one call, twice."""
    rows = [
        row for row in chain.from_iterable(SECTIONS.values()) if row.status == "rejected" and "sign" not in row.code
    ]
    calls = [split_body(row.make(f"mixed-{number}").body) for number, row in enumerate(rows)]
    events = [one for one, *others in calls if not others and one.isascii()]
    good = [json.dumps(event(f"good-{number}")).encode() for number in range(len(events))]
    body = b"[" + b",".join(chain.from_iterable(zip(events, good, strict=True))) + b"]"
    assert len(events) > 15
    for expected in ("accepted", "duplicate"):
        items = door.send(Call(body)).ok()["items"]
        assert [item["status"] for item in items] == ["rejected", expected] * len(events)


def test_the_table_has_every_reason_there_is() -> None:
    told = {row.code for row in (*chain.from_iterable(SECTIONS.values()), TOO_LATE)}
    assert {*RejectCode, *IntakeQuarantine, *QuarantineReason} <= told


def test_the_document_repeats_the_table() -> None:
    with open(DOCUMENT, encoding="utf-8") as text:
        document = text.read()
    for title, rows in SECTIONS.items():
        lines = [f"### {title}", "", "| What comes | Answer |", "|---|---|", *map(told, rows)]
        assert "\n".join(lines) in document, "\n".join(lines)
    assert told(TOO_LATE) in document


def told(row: Row) -> str:
    """A row as the document has it."""
    if isinstance(row.status, int):
        return f"| {row.what} | {row.status} `{row.code}` |"
    return f"| {row.what} | {row.status}{'' if row.status == row.code else f' `{row.code}`'} |"
