"""A posting whose connection dies: before COMMIT nothing is posted, after it everything, and a repeat posts once."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from django.db import InterfaceError, OperationalError, connection, transaction

from ledger import journal
from ledger.durably import durably, post_durably
from ledger.errors import InsufficientFunds
from ledger.models import Batch, Entry, Transaction
from tests.conftest import DatabaseUrls
from tests.integration.ledger.books import NOW, Books, post

LOST = (OperationalError, InterfaceError)


@pytest.fixture
def books(database: DatabaseUrls) -> Books:
    books = Books()
    post(books.deposit(books.ada, 100, "first"))
    return books


@pytest.fixture
def kill(database: DatabaseUrls) -> Callable[[], None]:
    """Ends the server process behind Django's connection, as a crash or a cut wire would."""

    def kill() -> None:
        with psycopg.connect(database.app_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])

    return kill


def counts() -> tuple[int, int, int]:
    return Batch.objects.count(), Transaction.objects.count(), Entry.objects.count()


def test_a_connection_that_dies_before_the_commit_leaves_nothing(books: Books, kill: Callable[[], None]) -> None:
    before = counts()

    @transaction.atomic
    def post_and_lose() -> None:
        journal.post([books.move("m1", 10)], actor="test", now=NOW)
        kill()

    with pytest.raises(LOST):
        post_and_lose()
    connection.close()
    assert counts() == before
    (posted,) = post(books.move("m1", 10))
    assert not posted.repeated


def test_a_connection_that_dies_after_the_commit_has_posted_and_a_repeat_says_so(
    books: Books, kill: Callable[[], None]
) -> None:
    (first,) = post(books.move("m1", 10))
    kill()
    with pytest.raises(LOST):
        post(books.move("m1", 10))
    connection.close()
    (again,) = post(books.move("m1", 10))
    assert (again.transaction_id, again.repeated) == (first.transaction_id, True)
    assert books.balance(books.bob) == (10, 0)


@pytest.mark.parametrize("committed", [False, True])
def test_the_retry_posts_once_whether_the_lost_try_was_committed_or_not(
    books: Books, kill: Callable[[], None], monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    """The server dies around the COMMIT of the first try: the client cannot tell on which side."""
    real_commit: Callable[[], None] = connection._commit  # type: ignore[attr-defined]
    tries: list[None] = []
    pauses: list[int] = []

    def commit() -> None:
        tries.append(None)
        if len(tries) > 1:
            real_commit()
            return
        if committed:
            real_commit()
        kill()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")  # meets the dead connection, as the answer to COMMIT would

    monkeypatch.setattr(connection, "_commit", commit)
    (posted,) = post_durably([books.move("m1", 10)], actor="test", now=NOW, pause=pauses.append)
    assert posted.repeated is committed
    assert (len(tries), pauses) == (2, [1])
    assert books.balance(books.bob) == (10, 0)


def test_a_refusal_is_not_tried_again(books: Books) -> None:
    pauses: list[int] = []
    with pytest.raises(InsufficientFunds):
        post_durably([books.move("m1", 101)], actor="test", now=NOW, pause=pauses.append)
    assert pauses == []


def test_after_the_last_attempt_the_failure_is_told(books: Books, kill: Callable[[], None]) -> None:
    pauses: list[int] = []

    def die() -> None:
        connection.ensure_connection()
        kill()
        Batch.objects.count()

    with pytest.raises(LOST):
        durably(die, attempts=3, pause=pauses.append)
    assert pauses == [1, 2]
    connection.close()
