"""A day with several contracts to settle, and how it is settled: what both an undisturbed and a disturbed run do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from ledger.models import SimulatedClock
from settlement.metering.events import CORRECTION_TYPE
from settlement.models import RunKind, RunState, SettlementRun
from settlement.runs.create import create_run
from settlement.runs.jobs import due_jobs
from settlement.runs.work import run_job
from tests.integration.settlement.trading_day import ACTOR, CODE, REFUSED_OUTPUT_TOKENS, START, TradingDay, usage
from tests.two_operators import withdraw

WINDOWS = 4
OVER = START + timedelta(hours=WINDOWS)
LATE = OVER + timedelta(hours=1)  # after the initial run, and before a final one is made by itself
PAIRS = (("buyer-1", "provider-1"), ("buyer-2", "provider-1"), ("buyer-3", "provider-2"))
LEFT_OUT = 7  # of the requests of a pair, what the initial run does not know yet
CORRECTED = 3  # of the requests of a pair, what its provider takes back between the runs


def symbol(window: int) -> str:
    return f"{CODE}@{START + timedelta(hours=window):%Y%m%dT%H}/1H"


def traded_day() -> TradingDay:
    """Positions of three pairs in each window, delivered and metered, but for some events that come late."""
    day = TradingDay()
    for window in range(1, WINDOWS):
        day.list_window(START + timedelta(hours=window))
    day.sweep_contracts()
    for window in range(WINDOWS):
        start = START + timedelta(hours=window)
        day.sell("provider-1", 10, 420 + window, start)
        day.buy("buyer-1", 7, 430, overage_permille=100, symbol=symbol(window))
        day.buy("buyer-2", 3, 430, symbol=symbol(window))
        day.sell("provider-2", 5, 430, start)
        day.buy("buyer-3", 5, 430, symbol=symbol(window))
    day.deliver(OVER)
    for window in range(WINDOWS):
        for place, (buyer, provider) in enumerate(PAIRS):
            events = _requests(window, place)
            day.report_both(buyer, provider, events[LEFT_OUT:])
    SimulatedClock.objects.create(id=1, now=OVER)
    return day


def settle_day(day: TradingDay, work: Callable[[SettlementRun], None], *, taking: bool = True) -> None:
    """The initial and the final run, with late and corrected events in between. `work` brings a run to its end;
    `taking`: somebody owes something then."""
    move(day, OVER)
    work(make_run(RunKind.INITIAL, day))
    move(day, LATE)
    report_late(day)
    if taking:
        take_everything(day)
    work(make_run(RunKind.FINAL, day))


def report_late(day: TradingDay) -> None:
    """What the initial run did not know: more requests, and that some that it knows came to less."""
    for window in range(WINDOWS):
        for place, (buyer, provider) in enumerate(PAIRS):
            events = _requests(window, place)
            day.report_both(buyer, provider, events[:LEFT_OUT])
            fewer = [_corrected(event, provider) for event in events[LEFT_OUT : LEFT_OUT + CORRECTED]]
            assert {result.status for result in day.report(provider, fewer)} == {"accepted"}


def take_everything(day: TradingDay) -> None:
    """Beneficiaries have taken their money away when the final run wants some of it back: it becomes debt and claim."""
    for code in ("grid-compute", "model-lab"):
        micros = day.balance(code)
        if micros:
            withdraw(day.parties[code].pk, day.currency_id, micros, reference=f"all of {code}", now=day.clock.at)


def work_off(run: SettlementRun) -> None:
    """As a single worker does that nothing happens to."""
    now = SimulatedClock.objects.get(id=1).now
    while jobs := due_jobs(100):
        for job_id in jobs:
            run_job(job_id, owner="undisturbed", now=now)
    assert is_published(run)


def is_published(run: SettlementRun) -> bool:
    return SettlementRun.objects.filter(id=run.id, state=RunState.PUBLISHED).exists()


def make_run(kind: RunKind, day: TradingDay) -> SettlementRun:
    return create_run("CNY", START, OVER, kind, actor=ACTOR, now=day.clock.at)


def move(day: TradingDay, moment: datetime) -> None:
    day.clock.at = moment
    SimulatedClock.objects.filter(id=1).update(now=moment)


def _requests(window: int, place: int) -> list[dict[str, Any]]:
    """Of a pair in a window: more than the first one bought, less than the others did, and some that were refused."""
    buyer, provider = PAIRS[place]
    start = START + timedelta(hours=window)
    sizes = [1_000 + 37 * window] * (76, 21, 40)[place]
    served = [
        usage(
            f"{buyer}-{window}-{number}",
            size,
            buyer=buyer,
            provider=provider,
            symbol=symbol(window),
            at=start + timedelta(seconds=20 * number),
        )
        for number, size in enumerate(sizes)
    ]
    refused = usage(
        f"{buyer}-{window}-refused",
        2_000 + REFUSED_OUTPUT_TOKENS,
        buyer=buyer,
        provider=provider,
        symbol=symbol(window),
        at=start + timedelta(minutes=50),
        refused="capacity",
    )
    return [*served, refused]


def _corrected(event: dict[str, Any], provider: str) -> dict[str, Any]:
    """The provider takes a third of a request back."""
    data = event["data"]
    fewer = {"input": data["usage"]["input"] * 2 // 3, "output": 0}
    changed = data | {"supersedes": event["id"], "why": "counted wrong", "replacement": "completed", "usage": fewer}
    return event | {
        "type": CORRECTION_TYPE,
        "id": f"{event['id']}-corrected",
        "source": f"meter/{provider}",
        "data": changed,
    }
