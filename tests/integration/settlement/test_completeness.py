"""Whether all that meters sent of a contract has arrived."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ledger.merkle import EMPTY_ROOT
from settlement.commands.register_meter import RegisterMeter, register_meter
from settlement.metering.completeness import complete_sides, read_completeness
from settlement.metering.completeness_rules import CompletenessState
from settlement.metering.reconcile import Side
from settlement.models import Meter, MeterSide
from settlement.selectors.usage_minutes import list_completeness
from tests.integration.settlement.trading_day import ACTOR, END, NOW, START, TradingDay
from tests.integration.settlement.usage_calls import Calls

COMPLETE, INCOMPLETE, OPEN = CompletenessState.COMPLETE, CompletenessState.INCOMPLETE, CompletenessState.OPEN


@pytest.fixture
def calls(day: TradingDay) -> Calls:
    return Calls(day)


def states(day: TradingDay) -> dict[str, CompletenessState]:
    meters = read_completeness(day.contract.id).meters
    return {meter.code.removeprefix("meter/"): meter.completeness.state for meter in meters}


def sides(day: TradingDay, buyer: str = "buyer-1", provider: str = "provider-1") -> frozenset[Side]:
    return complete_sides(day.contract.id, day.parties[buyer].id, day.parties[provider].id)


def gateway(day: TradingDay) -> Meter:
    return register_meter(
        RegisterMeter(day.parties["house"].id, "meter/gateway", MeterSide.GATEWAY), actor=ACTOR, now=NOW
    )


def test_a_meter_is_complete_when_what_it_told_has_arrived(day: TradingDay, calls: Calls) -> None:
    assert read_completeness(day.contract.id).meters == ()
    calls.report(calls.event("b"), calls.event("a"), calls.event("A"))
    assert states(day) == {"provider-1": OPEN}
    calls.report(watermarks=[calls.watermark(["a", "b", "A", "lost"])])
    assert states(day) == {"provider-1": INCOMPLETE}
    # The lost one comes days later, received on another day.
    calls.report(calls.event("lost"), at=START + timedelta(days=3))
    assert states(day) == {"provider-1": COMPLETE}
    assert sides(day) == {Side.PROVIDER}


def test_the_same_number_of_other_events_is_not_complete(day: TradingDay, calls: Calls) -> None:
    calls.report(calls.event("a"), watermarks=[calls.watermark(["b"])])
    assert states(day) == {"provider-1": INCOMPLETE}


def test_ids_are_compared_by_bytes_whatever_the_database_sorts_by(day: TradingDay, calls: Calls) -> None:
    ids = ["a", "B", "_", "é", "e", "Z-1", "z-1", "\ufb01", "\U0001f600"]
    calls.report(*[calls.event(id) for id in ids], watermarks=[calls.watermark(ids)])
    assert states(day) == {"provider-1": COMPLETE}


def test_every_event_that_was_kept_counts(day: TradingDay, calls: Calls) -> None:
    calls.report(
        calls.event("early", accepted_at=END - timedelta(microseconds=1)),
        calls.event("aside", quarantine_reason="no_usage"),
        calls.correction("early", "better"),
        calls.event("after", accepted_at=END, quarantine_reason="outside_window"),
        watermarks=[calls.watermark(["early", "aside", "better"])],
    )
    assert states(day) == {"provider-1": COMPLETE}


def test_events_that_came_before_their_time_count_too(day: TradingDay, calls: Calls) -> None:
    """A clock that runs hours ahead: kept aside as in the future, and told in the watermark all the same."""
    calls.report(calls.event("ahead", quarantine_reason="in_future"), at=START - timedelta(hours=3))
    calls.report(watermarks=[calls.watermark(["ahead"])], at=END)
    assert states(day) == {"provider-1": COMPLETE}


def test_a_lost_watermark_shows(day: TradingDay, calls: Calls) -> None:
    calls.report(
        watermarks=[
            calls.watermark([], sequence=3),
            calls.watermark([], sequence=1, up_to=START + timedelta(minutes=1)),
        ]
    )
    (meter,) = read_completeness(day.contract.id).meters
    assert (meter.completeness.state, meter.completeness.missing_sequences) == (INCOMPLETE, ((2, 2),))


def test_a_side_is_complete_if_all_its_meters_are(day: TradingDay, calls: Calls) -> None:
    calls.report(calls.event("p"), calls.event("b", by="buyer-1"), watermarks=[calls.watermark(["p"])])
    assert sides(day) == {Side.PROVIDER}
    calls.report(watermarks=[calls.watermark(["b"], by="buyer-1")])
    assert sides(day) == {Side.PROVIDER, Side.BUYER}
    register_meter(RegisterMeter(day.parties["buyer-1"].id, "meter/second", MeterSide.BUYER), actor=ACTOR, now=NOW)
    calls.report(calls.event("c", by="second"))
    assert sides(day) == {Side.PROVIDER}
    calls.report(watermarks=[calls.watermark(["c"], by="second")])
    assert sides(day) == {Side.PROVIDER, Side.BUYER}


def test_a_buyer_who_says_that_there_was_nothing_is_complete(day: TradingDay, calls: Calls) -> None:
    calls.report(calls.event("p"), watermarks=[calls.watermark([], by="buyer-1")])
    assert calls.watermark([]).root == EMPTY_ROOT
    assert sides(day) == {Side.BUYER}
    # Of another buyer nothing is known, and of the same buyer it holds for every provider.
    assert sides(day, buyer="buyer-2") == frozenset()
    assert sides(day, provider="provider-2") == {Side.BUYER}


def test_a_gateway_speaks_for_the_pairs_that_it_named(day: TradingDay, calls: Calls) -> None:
    gateway(day)
    calls.report(calls.event("g", by="gateway"), watermarks=[calls.watermark(["g"], by="gateway")])
    assert sides(day) == {Side.GATEWAY}
    assert sides(day, buyer="buyer-2") == frozenset()


def test_the_other_side_is_seen_after_delivery_and_without_counts(day: TradingDay, calls: Calls) -> None:
    calls.report(calls.event("p"), calls.event("b", by="buyer-1"), watermarks=[calls.watermark(["p"])])
    own = [day.parties["buyer-1"].id]

    def seen(parties: list[int] | None, *, after: bool = True) -> list[tuple[str, int | None]]:
        meters = list_completeness(day.contract, parties, now=END if after else END - timedelta(seconds=1))
        return [(meter.code, meter.completeness.received) for meter in meters]

    assert seen(own, after=False) == [("meter/buyer-1", 1)]
    assert seen(own) == [("meter/buyer-1", 1), ("meter/provider-1", None)]
    assert seen([day.parties["buyer-2"].id]) == []
    assert seen(None) == [("meter/buyer-1", 1), ("meter/provider-1", 1)]
