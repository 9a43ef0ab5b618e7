"""Two people decide the same transfer, or ask for the same payment, at the same instant."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import psycopg
import pytest
from django.db import IntegrityError, connection, connections

from ledger.errors import AlreadyDecided, InsufficientFunds
from ledger.models import ActionLog, Transaction, Transfer
from ledger.models.transfers import TransferState
from ledger.transfers import approve_transfer, decisions, refuse_transfer, request_deposit, request_withdrawal
from ledger.transfers.rows import movement_of
from tests.conftest import DatabaseUrls
from tests.integration.ledger.till import LATER, NOW, OLGA, OTTO, Till, open_till

PATIENCE = 30  # seconds
THIRD = "user:third"
Act = Callable[[], Transfer]


@pytest.fixture
def till(database: DatabaseUrls) -> Till:
    return open_till()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def started(pool: ThreadPoolExecutor, act: Act) -> Future[Transfer]:
    """Run something on a database connection of its own."""

    def run() -> Transfer:
        try:
            return act()
        finally:
            connections.close_all()

    return pool.submit(run)


@contextmanager
def first_one_halted(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Whoever decides first stops after reading the transfer: (it has come there, let it go on)."""
    arrived, go_on = threading.Event(), threading.Event()

    def halted(transfer: Transfer) -> object:
        if not arrived.is_set():
            arrived.set()
            assert go_on.wait(PATIENCE)
        return movement_of(transfer)

    monkeypatch.setattr(decisions, "movement_of", halted)
    try:
        yield arrived, go_on
    finally:
        go_on.set()


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


def approve(transfer: Transfer, actor: str) -> Act:
    return lambda: approve_transfer(transfer.pk, actor=actor, now=LATER)


def refuse(transfer: Transfer, actor: str) -> Act:
    return lambda: refuse_transfer(transfer.pk, "No.", actor=actor, now=LATER)


def both(pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, first: Act, second: Act) -> list[Future[Transfer]]:
    """Two decisions, the second made while the first is on its way."""
    with first_one_halted(monkeypatch) as (arrived, go_on):
        one = started(pool, first)
        assert arrived.wait(PATIENCE)
        other = started(pool, second)
        wait_until_one_waits_for_a_lock()
        go_on.set()
        return [one, other]


def test_of_two_approvals_at_once_one_posts_and_the_other_is_told_so(
    till: Till, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    till.deposit(500)
    asked = till.ask(300)
    one, other = (each.result() for each in both(pool, monkeypatch, approve(asked, OTTO), approve(asked, THIRD)))
    assert (one.decided_by, other.decided_by) == (OTTO, OTTO)
    assert one.transaction_id == other.transaction_id
    assert till.stands() == (200, 0)
    assert Transaction.objects.filter(kind="withdrawal").count() == 1
    assert ActionLog.objects.filter(action="approve_transfer", subject=f"transfer:{asked.pk}").count() == 1


@pytest.mark.parametrize("first", ["approve", "refuse"])
def test_of_an_approval_and_a_refusal_at_once_the_first_stands(
    till: Till, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    till.deposit(500)
    asked = till.ask(300)
    acts = [approve(asked, OTTO), refuse(asked, THIRD)]
    one, other = both(pool, monkeypatch, *(acts if first == "approve" else acts[::-1]))
    with pytest.raises(AlreadyDecided):
        other.result()
    assert one.result().state == ("posted" if first == "approve" else "refused")
    assert till.stands() == ((200, 0) if first == "approve" else (500, 0))
    assert Transfer.objects.get(pk=asked.pk).state == one.result().state


def race_without_the_lock(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, asked: Transfer
) -> tuple[Future[Transfer], Transfer]:
    """An approval that has read the transfer, and a refusal that is through before the approval goes on."""
    monkeypatch.setattr(decisions, "lock_transfer", lambda number: Transfer.objects.get(pk=number))
    with first_one_halted(monkeypatch) as (arrived, go_on):
        approval = started(pool, approve(asked, OTTO))
        assert arrived.wait(PATIENCE)
        refusal = started(pool, refuse(asked, THIRD)).result()
        go_on.set()
        approval.exception()
    return approval, refusal


def test_control_without_the_row_lock_the_database_is_all_that_stops_the_second(
    till: Till, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request_deposit(till.ada, till.currency, 500, reference="wire 1", actor=OLGA, now=NOW)
    approval, refusal = race_without_the_lock(pool, monkeypatch, asked)
    assert refusal.state == TransferState.REFUSED
    assert isinstance(approval.exception(), IntegrityError)  # not the answer that a person could read
    assert (till.stands(), Transfer.objects.get().state) == ((0, 0), TransferState.REFUSED)


def test_control_without_the_lock_and_the_guard_what_was_refused_is_paid(
    till: Till, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, database: DatabaseUrls
) -> None:
    with psycopg.connect(database.owner_url) as owner:
        owner.execute("ALTER TABLE ledger_transfer DISABLE TRIGGER ledger_transfer_guard")
    asked = request_deposit(till.ada, till.currency, 500, reference="wire 1", actor=OLGA, now=NOW)
    approval, refusal = race_without_the_lock(pool, monkeypatch, asked)
    assert (refusal.state, approval.result().state) == (TransferState.REFUSED, TransferState.POSTED)
    assert till.stands() == (500, 0)


def test_a_payment_asked_for_by_many_at_once_is_asked_for_once(till: Till, pool: ThreadPoolExecutor) -> None:
    till.deposit(1_000)
    together = threading.Barrier(8)

    def ask(number: int, actor: str) -> Transfer:
        together.wait(PATIENCE)
        return request_withdrawal(till.ada, till.currency, 100, reference=f"out {number}", actor=actor, now=NOW)

    for number in range(5):
        asked = [started(pool, partial(ask, number, f"user:{each}")) for each in range(8)]
        assert len({future.result().pk for future in asked}) == 1
        assert till.stands() == (1_000, 100 * (number + 1))


def test_requests_at_once_hold_no_more_than_there_is(till: Till, pool: ThreadPoolExecutor) -> None:
    till.deposit(1_000)
    asked = [started(pool, partial(till.ask, 300, f"out {each}")) for each in range(8)]
    failures = [future.exception() for future in asked]
    assert [type(failure) for failure in failures if failure] == [InsufficientFunds] * 5
    assert till.stands() == (1_000, 900)
    assert Transfer.objects.filter(kind="withdrawal").count() == 3
