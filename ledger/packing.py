"""Columns as PostgreSQL's binary arrays, packed in one go: psycopg's own adaption of lists costs several times more.

Format: number of dimensions, whether there are nulls, element type, length, lower bound (each i32, big-endian), then
for each element its byte length and its bytes (PostgreSQL source, `array_recv`).
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import lru_cache
from queue import SimpleQueue
from typing import Any, TypeVar
from weakref import WeakSet

from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Connection, Cursor
from psycopg.adapt import Dumper
from psycopg.pq import Format

from ledger.leaf import microseconds

T = TypeVar("T")
_Statement = tuple[str, Sequence[Any]]

OUTBOX_BYTES = 32_768  # as much as a maker may send by itself without being held up
_INT4, _INT8, _TEXT, _BYTEA, _TIMESTAMPTZ, _JSONB = 23, 20, 25, 17, 1184, 3802
_POSTGRES_EPOCH_MICROSECONDS = 946_684_800_000_000  # 2000-01-01 after 1970-01-01
_HEADER = struct.Struct(">iiIii").pack
_LENGTH = struct.Struct(">i").pack
_NULL = _LENGTH(-1)


class PackedArray:
    """A one-dimensional array, ready to be sent; its type is the one the statement expects."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class _PackedArrayDumper(Dumper):
    format = Format.BINARY
    oid = 0

    def dump(self, obj: PackedArray) -> bytes:
        return obj.data


_accepting: WeakSet[Connection[Any]] = WeakSet()


@contextmanager
def packed_cursor(own: BaseDatabaseWrapper | None = None) -> Iterator[Cursor[Any]]:
    """A cursor of Django's connection that takes packed arrays, binds on the server and prepares what it runs.

    Errors come out as Django's, and whatever is raised while it is open rolls back the transaction around it. In a
    `pipeline()` of its connection several statements travel together. `own` is a connection of the caller's own.
    """
    django = own or connection
    django.ensure_connection()
    raw = django.connection
    if raw not in _accepting:
        raw.adapters.register_dumper(PackedArray, _PackedArrayDumper)
        raw.prepare_threshold = 0  # Django's own cursors bind on the client and never prepare
        _accepting.add(raw)
    with ExitStack() as stack:
        if own is None:
            stack.enter_context(transaction.mark_for_rollback_on_error())
        stack.enter_context(django.wrap_database_errors)
        yield stack.enter_context(Cursor(raw))


class Outbox:
    """Statements without answers, carried out in order. Whoever makes them does not wait before `settle`.

    Many are carried out by a thread: with a pipeline alone their maker would stand still whenever the socket is full
    and the server busy. Until `settle` has returned, Django's connection belongs to the outbox.
    """

    def __init__(self, cursor: Cursor[Any]) -> None:
        self._cursor = cursor
        self._waiting: SimpleQueue[_Statement | None] = SimpleQueue()
        self._bytes = 0
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def execute(self, statement: str, parameters: Sequence[Any]) -> None:
        """Have a statement carried out after those before it; what goes wrong is raised by `settle`."""
        self._waiting.put((statement, parameters))
        if self._thread is None:
            self._bytes += sum([len(each.data) for each in parameters if type(each) is PackedArray])
            if self._bytes > OUTBOX_BYTES:
                self._thread = threading.Thread(target=self._carry_out, name="ledger-outbox", daemon=True)
                self._thread.start()

    def settle(self) -> None:
        """Wait until all is carried out. Raises what went wrong; everything behind it was then left out."""
        if self._thread is None and not self._waiting.empty():
            self._waiting.put(None)
            self._carry_out()
        self.join()
        if self._error is not None:
            raise self._error

    def join(self) -> None:
        """Give Django's connection back, whatever became of the statements that were being sent."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
        self._thread, self._bytes = None, 0

    def _carry_out(self) -> None:
        try:
            with self._cursor.connection.pipeline():
                while (statement := self._waiting.get()) is not None:
                    self._cursor.execute(*statement)
        except BaseException as error:
            self._error = error


@contextmanager
def open_outbox() -> Iterator[Outbox]:
    """An outbox of Django's connection, inside a transaction; settled at the end of the block."""
    with packed_cursor() as cursor:
        outbox = Outbox(cursor)
        try:
            yield outbox
            outbox.settle()
        finally:
            outbox.join()


def pack_int8(values: Sequence[int]) -> PackedArray:
    """bigint[]"""
    return _pack_fixed(_INT8, 8, "q", values)


def pack_int8_or_null(values: Sequence[int | None]) -> PackedArray:
    """bigint[] with nulls."""
    pack = _pairs("q", 1).pack
    return _pack_or_null(_INT8, values, lambda value: pack(8, value))


def pack_int4(values: Sequence[int]) -> PackedArray:
    """int[]"""
    return _pack_fixed(_INT4, 4, "i", values)


def pack_int4_or_null(values: Sequence[int | None]) -> PackedArray:
    """int[] with nulls."""
    pack = _pairs("i", 1).pack
    return _pack_or_null(_INT4, values, lambda value: pack(4, value))


def pack_instants(values: Sequence[datetime]) -> PackedArray:
    """timestamptz[]"""
    since_2000 = [microseconds(value) - _POSTGRES_EPOCH_MICROSECONDS for value in values]
    return _pack_fixed(_TIMESTAMPTZ, 8, "q", since_2000)


def pack_digests(values: Sequence[bytes]) -> PackedArray:
    """bytea[] of values of 32 bytes each."""
    length = _LENGTH(32)
    return PackedArray(_header(_BYTEA, len(values)) + b"".join([length + value for value in values]))


def pack_texts(values: Sequence[str]) -> PackedArray:
    """text[]"""
    encoded = {value: _text(value) for value in set(values)}  # columns repeat few values many times
    return PackedArray(_header(_TEXT, len(values)) + b"".join([encoded[value] for value in values]))


def pack_texts_or_null(values: Sequence[str | None]) -> PackedArray:
    """text[] with nulls."""
    return _pack_or_null(_TEXT, values, _text)


def pack_bytes_or_null(values: Sequence[bytes | None]) -> PackedArray:
    """bytea[] with nulls."""
    return _pack_or_null(_BYTEA, values, _bytes)


def pack_documents(values: Sequence[bytes]) -> PackedArray:
    """jsonb[] of documents that are JSON."""
    return PackedArray(
        _header(_JSONB, len(values)) + b"".join([_LENGTH(len(data) + 1) + b"\x01" + data for data in values])
    )


def _text(value: str) -> bytes:
    data = value.encode()
    return _LENGTH(len(data)) + data


def _bytes(data: bytes) -> bytes:
    return _LENGTH(len(data)) + data


def _pack_or_null(type_oid: int, values: Sequence[T | None], pack: Callable[[T], bytes]) -> PackedArray:
    if values.count(None) == len(values):
        return PackedArray(_header(type_oid, len(values), nulls=True) + _NULL * len(values))
    packed = [_NULL if value is None else pack(value) for value in values]
    return PackedArray(_header(type_oid, len(values), nulls=True) + b"".join(packed))


def _pack_fixed(type_oid: int, width: int, code: str, values: Sequence[int]) -> PackedArray:
    flat = [width] * (2 * len(values))
    flat[1::2] = values
    return PackedArray(_header(type_oid, len(values)) + _pairs(code, len(values)).pack(*flat))


def _header(type_oid: int, length: int, *, nulls: bool = False) -> bytes:
    return _HEADER(1, nulls, type_oid, length, 1) if length else _HEADER(0, 0, type_oid, 0, 0)[:12]


@lru_cache(maxsize=128)
def _pairs(code: str, count: int) -> struct.Struct:
    return struct.Struct(">" + f"i{code}" * count)
