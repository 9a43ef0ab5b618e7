"""A bare binary COPY of rows that the product wrote, into tables with a primary key only: the floor under a writer.

Each transaction of the product is one again. Packing the rows counts, as it does in what the product does, unless they
are packed before. The format is that of PostgreSQL's manual, "COPY", binary format.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import psycopg
from django.db import connection, connections
from msgspec import json
from psycopg import adapters

PREFIXES = ("bench_floor_", "bench_packedfloor_")  # each takes a row once

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Where rows go again, and how a value of each column is packed."""

    name: str
    packers: tuple[Callable[[Any], bytes], ...]

    def pack(self, rows: Sequence[Row]) -> bytes:
        """The rows in PostgreSQL's binary COPY format."""
        packers = self.packers
        start = struct.pack(">h", len(packers))
        packed = [
            start
            + b"".join([_NULL if value is None else pack(value) for pack, value in zip(packers, row, strict=True)])
            for row in rows
        ]
        return b"".join([_HEADER, *packed, _TRAILER])


Transaction = list[tuple[Table, list[Row]]]  # what one wrote, a table after the other

_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
_TRAILER = struct.pack(">h", -1)
_NULL = struct.pack(">i", -1)
_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def make_tables(tables: Iterable[str]) -> None:
    """Each table's columns and primary key, and nothing else, under both prefixes."""
    with connections["owner"].cursor() as cursor:
        for table, prefix in product(tables, PREFIXES):
            cursor.execute(f"CREATE TABLE {prefix}{table} (LIKE {table})")
            cursor.execute(
                """
                SELECT string_agg(attname, ', ' ORDER BY array_position(indkey::int2[], attnum))
                  FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)
                 WHERE indrelid = %s::regclass AND indisprimary
                """,
                [table],
            )
            (key,) = cursor.fetchone()
            cursor.execute(f"ALTER TABLE {prefix}{table} ADD PRIMARY KEY ({key})")
            cursor.execute(f"GRANT INSERT ON {prefix}{table} TO tokenbourse_app")


def read_rows(name: str, statement: str) -> tuple[Table, list[tuple[Any, Row]]]:
    """Rows of a table, each behind the statement's first column, which says where it belongs."""
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(statement, binary=True)
        types = [column.type_code for column in cursor.description or ()][1:]
        rows = cursor.fetchall()
    documents = [place for place, oid in enumerate(types) if adapters.types[oid].regtype == "jsonb"]
    return Table(name, tuple(map(_packer, types))), [(row[0], _encoded(row[1:], documents)) for row in rows]


def copy_seconds(transactions: Sequence[Transaction], *, packed_before: bool = False) -> float:
    """Seconds to write the same again, on one connection."""
    connection.ensure_connection()
    raw: psycopg.Connection[Any] = connection.connection
    prefix = PREFIXES[packed_before]
    streams = [[table.pack(rows) for table, rows in written] for written in transactions] if packed_before else []
    started = time.perf_counter()
    for number, written in enumerate(transactions):
        with raw.transaction(), raw.cursor() as cursor:
            for place, (table, rows) in enumerate(written):
                with cursor.copy(f"COPY {prefix}{table.name} FROM STDIN (FORMAT BINARY)") as copy:
                    copy.write(streams[number][place] if packed_before else table.pack(rows))
    return time.perf_counter() - started


def _packer(type_oid: int) -> Callable[[Any], bytes]:
    """How a value of a type is packed; documents come as texts."""
    lengths = {"smallint": (2, "h"), "integer": (4, "i"), "bigint": (8, "q"), "boolean": (1, "?")}
    name = adapters.types[type_oid].regtype
    if name in lengths:
        width, code = lengths[name]
        pack = struct.Struct(f">i{code}").pack
        return lambda value: pack(width, value)
    length = struct.Struct(">i").pack
    if name == "timestamp with time zone":
        instant = struct.Struct(">iq").pack
        return lambda value: instant(8, (value - _POSTGRES_EPOCH) // _MICROSECOND)
    if name == "bytea":
        return lambda value: length(len(value)) + value
    if name == "jsonb":
        return lambda value: length(len(value) + 1) + b"\x01" + value
    return lambda value: length(len(data := value.encode())) + data


def _encoded(row: Row, documents: Sequence[int]) -> Row:
    """A row whose documents are bytes again, as they were when the product packed them."""
    if not documents:
        return row
    values = list(row)
    for place in documents:
        values[place] = json.encode(values[place])
    return tuple(values)
