"""The floor under the ledger: a bare binary COPY of the same entry rows into a table with a primary key only."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Sequence

from django.db import connection, connections, transaction

Row = tuple[int, int, int, int, int, int, int, str]

TABLES = ("bench_copyfloor", "bench_packedcopyfloor")  # each takes a row once
COLUMNS = "account_id, account_seq, transaction_id, leg, asset_id, amount, balance_after, ref"
HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
TRAILER = struct.pack(">h", -1)
_ROW = struct.Struct(">h iq iq iq ii iq iq iq i")


def make_tables() -> None:
    """The eight columns of an entry, their primary key, and nothing that checks; filled with the journal as it is."""
    with connections["owner"].cursor() as cursor:
        for table in TABLES:
            cursor.execute(
                f"""
                CREATE TABLE {table} (
                    account_id bigint NOT NULL, account_seq bigint NOT NULL, transaction_id bigint NOT NULL,
                    leg integer NOT NULL, asset_id bigint NOT NULL, amount bigint NOT NULL,
                    balance_after bigint NOT NULL, ref varchar(120) NOT NULL, PRIMARY KEY (account_id, account_seq)
                )
                """
            )
            cursor.execute(f"INSERT INTO {table} SELECT {COLUMNS} FROM ledger_entry ORDER BY transaction_id, leg")
            cursor.execute(f"ANALYZE {table}")


def last_transaction() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_transaction FROM ledger_ledgerhead")
        number: int = cursor.fetchone()[0]
    return number


def posted_rows(after: int) -> list[Row]:
    """The entries of every transaction after that number, in journal order."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {COLUMNS} FROM ledger_entry WHERE transaction_id > %s ORDER BY transaction_id, leg", [after]
        )
        rows: list[Row] = cursor.fetchall()
    return rows


def pack(rows: Sequence[Row]) -> bytes:
    """The rows in PostgreSQL's binary COPY format."""
    return b"".join((HEADER, *_packed(rows), TRAILER))


def _packed(rows: Sequence[Row]) -> Iterator[bytes]:
    make = _ROW.pack
    for account, seq, number, leg, asset, amount, after, ref in rows:
        text = ref.encode()
        yield make(8, 8, account, 8, seq, 8, number, 4, leg, 8, asset, 8, amount, 8, after, len(text)) + text


def copy_seconds(rows: Sequence[Row], rows_a_commit: int, *, packed_before: bool = False) -> float:
    """Seconds to write the rows in this order, one COMMIT for so many of them.

    Packing them counts, as it does in what the posting door does, unless they are `packed_before`.
    """
    parts = [sorted(rows[start : start + rows_a_commit]) for start in range(0, len(rows), rows_a_commit)]
    packed = [pack(part) for part in parts] if packed_before else []
    statement = f"COPY {TABLES[packed_before]} FROM STDIN (FORMAT BINARY)"
    started = time.perf_counter()
    for n, part in enumerate(parts):
        buffer = packed[n] if packed_before else pack(part)
        with transaction.atomic(), connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(buffer)
    return time.perf_counter() - started
