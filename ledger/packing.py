"""Columns as PostgreSQL's binary arrays, packed in one go: psycopg's own adaption of lists costs several times more.

Format: number of dimensions, whether there are nulls, element type, length, lower bound (each i32, big-endian), then
for each element its byte length and its bytes (PostgreSQL source, `array_recv`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any
from weakref import WeakSet

from django.db import connection, transaction
from psycopg import Connection, Cursor
from psycopg.adapt import Dumper
from psycopg.pq import Format

from ledger.leaf import microseconds

_INT4, _INT8, _TEXT, _BYTEA, _TIMESTAMPTZ = 23, 20, 25, 17, 1184
_POSTGRES_EPOCH_MICROSECONDS = 946_684_800_000_000  # 2000-01-01 after 1970-01-01
_HEADER = struct.Struct(">iiIii").pack
_LENGTH = struct.Struct(">i").pack


class PackedArray:
    """A one-dimensional array without nulls, ready to be sent; its type is the one the statement expects."""

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
def packed_cursor() -> Iterator[Cursor[Any]]:
    """A cursor of Django's connection that takes packed arrays, binds on the server and prepares what it runs.

    Errors come out as Django's, and whatever is raised while it is open rolls back the transaction around it. In a
    `pipeline()` of its connection several statements travel together.
    """
    connection.ensure_connection()
    raw = connection.connection
    if raw not in _accepting:
        raw.adapters.register_dumper(PackedArray, _PackedArrayDumper)
        raw.prepare_threshold = 0  # Django's own cursors bind on the client and never prepare
        _accepting.add(raw)
    with transaction.mark_for_rollback_on_error(), connection.wrap_database_errors, Cursor(raw) as cursor:
        yield cursor


def pack_int8(values: Sequence[int]) -> PackedArray:
    """bigint[]"""
    return _pack_fixed(_INT8, 8, "q", values)


def pack_int4(values: Sequence[int]) -> PackedArray:
    """int[]"""
    return _pack_fixed(_INT4, 4, "i", values)


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
    if not any(values):
        return PackedArray(_header(_TEXT, len(values)) + bytes(4 * len(values)))
    parts = [_header(_TEXT, len(values))]
    for value in values:
        data = value.encode()
        parts += (_LENGTH(len(data)), data)
    return PackedArray(b"".join(parts))


def _pack_fixed(type_oid: int, width: int, code: str, values: Sequence[int]) -> PackedArray:
    flat = [width] * (2 * len(values))
    flat[1::2] = values
    return PackedArray(_header(type_oid, len(values)) + _pairs(code, len(values)).pack(*flat))


def _header(type_oid: int, length: int) -> bytes:
    return _HEADER(1, 0, type_oid, length, 1) if length else _HEADER(0, 0, type_oid, 0, 0)[:12]


@lru_cache(maxsize=128)
def _pairs(code: str, count: int) -> struct.Struct:
    return struct.Struct(">" + f"i{code}" * count)
