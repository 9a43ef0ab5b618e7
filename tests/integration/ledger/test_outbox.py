from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest
from django.db import DataError, IntegrityError, connection, connections, transaction

from ledger.packing import OUTBOX_BYTES, Outbox, open_outbox, pack_int8

FEW, MANY = 10, OUTBOX_BYTES // 12 + 1  # numbers in a statement: of the many, one makes a thread


@pytest.fixture
def kept(database: object) -> Iterator[None]:
    with connections["owner"].cursor() as cursor:
        cursor.execute("CREATE TABLE kept (n bigint PRIMARY KEY, place bigint GENERATED ALWAYS AS IDENTITY)")
        cursor.execute("GRANT SELECT, INSERT ON kept TO tokenbourse_app")
    yield
    connections.close_all()


def numbers() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT n FROM kept ORDER BY place")
        return [n for (n,) in cursor.fetchall()]


def put(outbox: Outbox, first: int, count: int) -> list[int]:
    made = list(range(first, first + count))
    outbox.execute("INSERT INTO kept (n) SELECT * FROM unnest(%s::bigint[])", [pack_int8(made)])
    return made


def sending() -> bool:
    return any(thread.name == "ledger-outbox" for thread in threading.enumerate())


@pytest.mark.parametrize("count", [FEW, MANY])
@pytest.mark.usefixtures("kept")
def test_statements_are_carried_out_in_order_and_only_many_by_a_thread(count: int) -> None:
    with transaction.atomic(), open_outbox() as outbox:
        made = [number for place in range(20) for number in put(outbox, place * count, count)]
        assert sending() is (count == MANY)
    assert not sending()
    assert numbers() == made


@pytest.mark.parametrize("count", [FEW, MANY])
@pytest.mark.usefixtures("kept")
def test_what_was_settled_can_be_read_and_more_may_follow(count: int) -> None:
    with transaction.atomic(), open_outbox() as outbox:
        first = put(outbox, 0, count)
        outbox.settle()
        assert numbers() == first
        second = put(outbox, count, count)
    assert numbers() == first + second


@pytest.mark.parametrize("count", [FEW, MANY])
@pytest.mark.usefixtures("kept")
def test_what_goes_wrong_is_raised_as_djangos_and_nothing_of_it_stays(count: int) -> None:
    def doubled() -> None:
        with transaction.atomic(), open_outbox() as outbox:
            put(outbox, 0, count)
            put(outbox, count - 1, count)
            put(outbox, 2 * count, count)

    with pytest.raises(IntegrityError, match="kept_pkey"):
        doubled()
    assert not sending()
    assert numbers() == []
    with transaction.atomic(), open_outbox() as outbox:  # the connection is as good as before
        made = put(outbox, 0, count)
    assert numbers() == made


@pytest.mark.usefixtures("kept")
def test_an_outbox_that_failed_stays_failed() -> None:
    def settled_twice() -> None:
        with transaction.atomic(), open_outbox() as outbox:
            outbox.execute("SELECT 1 / %s::int", ["0"])
            with pytest.raises(psycopg.DataError, match="division by zero"):
                outbox.settle()
            outbox.settle()

    with pytest.raises(DataError, match="division by zero"):
        settled_twice()


@pytest.mark.parametrize("count", [FEW, MANY])
@pytest.mark.usefixtures("kept")
def test_what_its_maker_raises_leaves_nothing_and_frees_the_connection(count: int) -> None:
    class Stop(Exception):
        pass

    def interrupted() -> None:
        with transaction.atomic(), open_outbox() as outbox:
            put(outbox, 0, count)
            raise Stop

    with pytest.raises(Stop):
        interrupted()
    assert not sending()
    assert numbers() == []


@pytest.mark.usefixtures("kept")
def test_a_connection_lost_while_sending_is_told() -> None:
    def killed() -> None:
        with transaction.atomic(), open_outbox() as outbox:
            put(outbox, 0, MANY)
            with connections["owner"].cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
            for place in range(1, 200):
                put(outbox, place * MANY, MANY)

    with pytest.raises(Exception, match=r"terminat|closed|lost"):
        killed()
    connection.close()
    assert numbers() == []
