"""Meters report, corrections included, while several processes roll up and somebody checks the sums all along."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connections

from settlement.metering.completeness import read_completeness
from settlement.metering.completeness_rules import CompletenessState, watermark_root
from settlement.metering.events import CORRECTION_TYPE, WATERMARK_TYPE
from settlement.metering.rollup_check import find_differences
from settlement.metering.rollups import roll_up
from settlement.models import PendingRollup, UsageMinute, UsageSupersession
from tests.conftest import DatabaseUrls
from tests.integration.settlement.trading_day import END, START, SYMBOL, TradingDay, usage

CALLS, EVENTS = 25, 12


@pytest.fixture
def day(database: DatabaseUrls) -> TradingDay:
    day = TradingDay()
    day.clock.at = END
    return day


def in_thread(act: Callable[[], Any]) -> Callable[[], Any]:
    def acting() -> Any:
        try:
            return act()
        finally:
            connections.close_all()

    return acting


def correction(of: dict[str, Any], id: str, tokens: int, replacement: str) -> dict[str, Any]:
    data = of["data"] | {"supersedes": of["id"], "why": "counted wrong", "replacement": replacement}
    if replacement == "void":
        data = {name: value for name, value in data.items() if name not in {"family", "usage", "reason"}}
    else:
        data |= {"usage": {"input": tokens, "output": 0}}
    return of | {"type": CORRECTION_TYPE, "id": id, "data": data}


def watermark(code: str, ids: list[str]) -> dict[str, Any]:
    data = {
        "contract": SYMBOL,
        "up_to": END.isoformat(),
        "sequence": 1,
        "events": len(ids),
        "root": watermark_root(ids).hex(),
    }
    return usage(f"mark-{code}", 1) | {"type": WATERMARK_TYPE, "source": f"meter/{code}", "data": data}


def report_calls(day: TradingDay, code: str, seed: int) -> None:
    """Calls of one meter: new events, the same again, corrections of any of them, at the end what it all was."""
    chance = random.Random(f"{seed} {code}")
    standing: list[dict[str, Any]] = []
    sent: list[dict[str, Any]] = []
    for call in range(CALLS):
        events: list[dict[str, Any]] = []
        for place in range(EVENTS):
            id = f"{code}-{call}-{place}"
            kind = chance.random()
            if sent and kind < 0.1:
                events.append(chance.choice(sent))
            elif standing and kind < 0.35:
                old = standing.pop(chance.randrange(len(standing)))
                events.append(correction(old, id, chance.randrange(50), chance.choice(("completed", "void"))))
            else:
                at = START + timedelta(seconds=chance.randrange(300))
                events.append(usage(id, chance.randrange(1, 99), at=at) | {"source": f"meter/{code}"})
        for result in day.report(code, events):
            assert result.status in {"accepted", "duplicate"}, result
        sent += events
        standing += [event for event in events if event["type"] != CORRECTION_TYPE and event not in standing]
        corrected = set(UsageSupersession.objects.values_list("event_id", flat=True))
        standing = [event for event in standing if event["id"] not in corrected]
    (result,) = day.report(code, [watermark(code, sorted({event["id"] for event in sent}))])
    assert result.status == "accepted", result


def test_sums_are_the_events_at_every_moment(day: TradingDay) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    reporting = threading.Event()
    reporting.set()

    def keep_rolling() -> int:
        calls = 0
        while reporting.is_set():
            calls += roll_up(now=END, calls=3).calls
        return calls

    def keep_checking() -> int:
        checks = 0
        while reporting.is_set():
            assert not find_differences()
            checks += 1
        return checks

    with ThreadPoolExecutor(5) as threads:
        rolling = [threads.submit(in_thread(keep_rolling)) for _ in range(2)]
        checking = threads.submit(in_thread(keep_checking))
        meters = [
            threads.submit(in_thread(partial(report_calls, day, code, seed))) for code in ("provider-1", "buyer-1")
        ]
        try:
            for meter in meters:
                meter.result(timeout=300)
        finally:
            reporting.clear()
        assert checking.result() > 0
        assert sum(each.result() for each in rolling) > 0
    while roll_up(now=END).calls:
        pass
    assert not PendingRollup.objects.exists()
    assert UsageMinute.objects.exists()
    assert not find_differences()
    states = {meter.code: meter.completeness.state for meter in read_completeness(day.contract.id).meters}
    assert set(states.values()) == {CompletenessState.COMPLETE}, states
    assert len(states) == 2
