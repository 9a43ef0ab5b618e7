"""A line disputed twice at the same instant, a dispute decided by two at once, and money that two disputes want."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connection, connections

from ledger.errors import AlreadyDecided, DomainError
from settlement.commands import decide_dispute as deciding
from settlement.commands import open_dispute as opening
from settlement.commands.decide_dispute import decide_dispute
from settlement.commands.propose_dispute import propose_dispute
from settlement.commands.withdraw_dispute import withdraw_dispute
from settlement.disputes.errors import DisputeExists
from settlement.models import Dispute, DisputeState
from tests.audits import audit, findings
from tests.conftest import DatabaseUrls
from tests.integration.settlement.disputed_day import KEY, ONE, TWO, DisputedDay, disputed_day
from tests.integration.settlement.trading_day import TradingDay
from tests.two_operators import withdraw

PATIENCE = 30  # seconds
HALF = 168_000
Act = Callable[[], Dispute]


@pytest.fixture
def market(database: DatabaseUrls) -> DisputedDay:
    return disputed_day(TradingDay(), database)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def started(pool: ThreadPoolExecutor, act: Act) -> Future[Dispute]:
    """Run something on a database connection of its own."""

    def run() -> Dispute:
        try:
            return act()
        finally:
            connections.close_all()

    return pool.submit(run)


def wait_until_one_waits_for_a_lock() -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone() == (1,):
                return
        time.sleep(0.01)
    pytest.fail("nobody waits for the lock")


@contextmanager
def first_one_halted(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Whoever calls that function first stops before it: (it has come there, let it go on)."""
    arrived, go_on = threading.Event(), threading.Event()
    act: Callable[..., object] = getattr(module, name)

    def halted(*arguments: object, **options: object) -> object:
        if not arrived.is_set():
            arrived.set()
            assert go_on.wait(PATIENCE)
        return act(*arguments, **options)

    monkeypatch.setattr(module, name, halted)
    try:
        yield arrived, go_on
    finally:
        go_on.set()


def test_of_two_who_dispute_a_line_at_once_one_does(
    market: DisputedDay, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = market.day.balance("provider-1")
    with first_one_halted(monkeypatch, opening, "suspend") as (arrived, go_on):
        first = started(pool, lambda: market.open(micros=HALF))
        assert arrived.wait(PATIENCE)
        second = started(pool, lambda: market.open(micros=HALF))
        wait_until_one_waits_for_a_lock()
        go_on.set()
        assert first.result().state == DisputeState.OPEN
        with pytest.raises(DisputeExists):
            second.result()
    assert (market.suspense(), market.day.balance("provider-1")) == (HALF, before - HALF)
    assert Dispute.objects.count() == 1
    assert findings(audit("settlement.suspense", "settlement.suspensions")) == {}


def test_control_without_the_index_both_do_and_twice_the_money_is_gone(
    market: DisputedDay, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = market.day.balance("provider-1")
    with psycopg.connect(market.database.owner_url) as owner:
        owner.execute("DROP INDEX dispute_once_a_line")
    monkeypatch.setattr(opening, "lock_payments", lambda: None)  # which lets one open after the other
    with first_one_halted(monkeypatch, opening, "suspend") as (arrived, go_on):
        first = started(pool, lambda: market.open(micros=HALF))
        assert arrived.wait(PATIENCE)
        second = started(pool, lambda: market.open(micros=HALF)).result()
        go_on.set()
        assert {first.result().state, second.state} == {DisputeState.OPEN}
    assert (market.suspense(), market.day.balance("provider-1")) == (2 * HALF, before - 2 * HALF)


def test_many_at_once_suspend_what_there_is_and_never_more(market: DisputedDay, pool: ThreadPoolExecutor) -> None:
    provider = market.day.parties["provider-1"]
    free = market.day.balance("provider-1") - market.day.held("provider-1")
    withdraw(provider.pk, market.day.currency_id, free - 40_000, reference="most", now=market.day.clock.at)
    kinds = ("delivered", "take_or_pay", "refund_unused", "refund_short", "damages")
    together = threading.Barrier(len(kinds) + 1)

    def dispute(code: str, kind: str) -> Dispute:
        together.wait(PATIENCE)
        return market.open(code, kind, 10_500)

    acts = [started(pool, lambda kind=kind: dispute("buyer-1", kind)) for kind in kinds]  # type: ignore[misc]
    acts.append(started(pool, lambda: dispute("power-works", "share")))
    opened = [act.result() for act in acts]
    suspended = sorted(each.suspended_micros for each in opened)
    assert suspended == [0, 0, 8_500, 10_500, 10_500, 10_500]
    assert market.suspense() == 40_000
    assert findings(audit("settlement.suspense", "settlement.suspensions", "stored_balances", "floors")) == {}


def test_of_a_decision_and_a_withdrawal_at_once_the_first_stands(
    market: DisputedDay, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = market.day.balance("provider-1")
    dispute = market.open(micros=HALF)
    propose_dispute(dispute.pk, 0, "Nothing.", actor=ONE, now=market.now)
    with first_one_halted(monkeypatch, deciding, "release") as (arrived, go_on):
        first = started(pool, lambda: decide_dispute(dispute.pk, 0, "No.", actor=TWO, now=market.now))
        assert arrived.wait(PATIENCE)
        party = market.party_id("buyer-1")
        other = started(pool, lambda: withdraw_dispute(dispute.pk, "Well.", party_id=party, actor=KEY, now=market.now))
        wait_until_one_waits_for_a_lock()
        third = started(pool, lambda: decide_dispute(dispute.pk, 0, "No.", actor="user:third", now=market.now))
        go_on.set()
        assert first.result().state == DisputeState.REJECTED
        refused = [type(each.exception()) for each in (other, third)]
    assert all(issubclass(each, DomainError) for each in refused)
    assert refused[1] is AlreadyDecided
    assert (market.suspense(), market.day.balance("provider-1")) == (0, before)
    assert findings(audit("settlement.suspense")) == {}
