"""Two writers of one account at once: the ledger head lets one after the other, and without it they would collide."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from django.db import connections, transaction

from ledger import journal
from ledger.errors import DomainError
from ledger.models import Account, Batch, Entry
from tests.conftest import DatabaseUrls
from tests.integration.ledger.books import NOW, Books, hold, post, seal

READ = "SELECT balance, seq FROM ledger_account WHERE id = %s"
LOCK = "SELECT 1 FROM ledger_ledgerhead WHERE id = 1 FOR UPDATE"
MOVE = (
    "INSERT INTO ledger_entry (account_id, account_seq, transaction_id, leg, asset_id, amount, balance_after, ref)"
    " VALUES (%(ada)s, %(ada_seq)s + 1, 3, 1, %(asset)s, -60, %(ada_balance)s - 60, ''),"
    " (%(bob)s, %(bob_seq)s + 1, 3, 2, %(asset)s, 60, %(bob_balance)s + 60, '')"
)


@pytest.fixture
def books(database: DatabaseUrls) -> Books:
    books = Books()
    post(books.deposit(books.ada, 100, "a"), books.deposit(books.bob, 1, "b"))
    return books


def read(writer: psycopg.Connection[Any], books: Books) -> dict[str, int]:
    """What a writer believes before it writes."""
    seen: dict[str, int] = {"asset": books.currency}
    for name in ("ada", "bob"):
        account_id = Account.objects.get(party_id=getattr(books, name), role="cash").id
        row = writer.execute(READ, [account_id]).fetchone()
        assert row is not None
        seen |= {name: account_id, f"{name}_balance": row[0], f"{name}_seq": row[1]}
    return seen


def test_control_without_the_lock_the_second_writer_builds_on_what_is_gone(
    books: Books, database: DatabaseUrls
) -> None:
    """Both read 100 and take 60. The trigger's comparison saves the figures, but the second writer's work is lost."""
    with psycopg.connect(database.app_url) as first, psycopg.connect(database.app_url) as second:
        seen_first, seen_second = read(first, books), read(second, books)
        assert seen_first == seen_second
        first.execute(MOVE, seen_first)
        outcome: list[BaseException | None] = []
        waiting = threading.Thread(target=lambda: outcome.append(failure_of(lambda: second.execute(MOVE, seen_second))))
        waiting.start()  # it stands behind the first one's account rows
        waiting.join(timeout=0.3)
        first.execute(
            "SELECT ledger_seal(1, 'x', '2026-12-02Z', sha256(''), '{t}', '{x}', '{first}', ARRAY[sha256('')],"
            " ARRAY[now()], '{2}', '{0}', ARRAY[sha256('')])"
        )
        first.commit()
        waiting.join(timeout=10)
        assert isinstance(outcome[0], psycopg.errors.IntegrityConstraintViolation | psycopg.errors.UniqueViolation)


def failure_of(act: Callable[[], object]) -> BaseException | None:
    try:
        act()
    except psycopg.Error as error:
        return error
    return None


def test_with_the_lock_the_second_writer_waits_and_reads_what_the_first_left(
    books: Books, database: DatabaseUrls
) -> None:
    with psycopg.connect(database.app_url) as first, psycopg.connect(database.app_url) as second:
        first.execute(LOCK)
        second.execute("SET LOCAL lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            second.execute(LOCK)


@pytest.mark.parametrize("what", ["legs", "a hold"])
def test_a_transaction_that_another_is_sealing_takes_nothing(books: Books, database: DatabaseUrls, what: str) -> None:
    """The second writer's check must not look at the head as it was before the first one's seal."""
    with psycopg.connect(database.app_url) as first, psycopg.connect(database.app_url) as second:
        seal(0, version=1, run=first.execute)  # transaction 3, without legs, not committed yet
        seen = read(second, books)
        outcome: list[BaseException | None] = []

        def join_it() -> None:
            if what == "legs":
                outcome.append(failure_of(lambda: second.execute(MOVE, seen)))
            else:
                outcome.append(failure_of(lambda: hold(seen["ada"], 1, 3, 5, 5, run=second.execute)))

        waiting = threading.Thread(target=join_it)
        waiting.start()
        waiting.join(timeout=0.5)
        assert outcome == [], "it did not wait for the one who is sealing"
        first.commit()
        waiting.join(timeout=10)
        assert "transaction 3 is sealed" in str(outcome[0])


def test_many_posters_at_once_spend_exactly_what_there_is(books: Books) -> None:
    """Four threads try to move 10 from ada thirty times each; she has 100."""

    def spend(writer: int) -> int:
        done = 0
        try:
            for number in range(30):
                try:
                    with transaction.atomic():
                        journal.post([books.move(f"{writer}/{number}", 10)], actor=f"writer {writer}", now=NOW)
                    done += 1
                except DomainError:
                    continue
        finally:
            connections.close_all()
        return done

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(spend, range(4))) == 10
    assert books.balance(books.ada) == (0, 0)
    assert books.balance(books.bob) == (101, 0)
    sequences = Entry.objects.filter(account_id=books.account(books.ada).id).order_by("account_seq")
    assert [entry.account_seq for entry in sequences] == list(range(1, 12))
    assert [batch.no for batch in Batch.objects.order_by("no")] == list(range(1, 12))


def test_the_same_reference_sent_by_many_at_once_posts_once(books: Books) -> None:
    def send(_: int) -> journal.Posted:
        try:
            with transaction.atomic():
                return journal.post([books.move("once", 10)], actor="test", now=NOW)[0]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(12)))
    assert sorted(answer.repeated for answer in answers) == [False] + [True] * 11
    assert {answer.transaction_id for answer in answers} == {3}
    assert books.balance(books.bob) == (11, 0)
