"""The floor under the sequencer: a bare binary COPY of the rows it wrote, into tables with a primary key only.

Batches that were one transaction are one again. Rows that the sequencer only changed (older orders, accounts, counters)
are not in it. They are packed, by PostgreSQL itself, before the clock starts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import chain
from typing import Any

import psycopg
from django.db import connection, connections

PREFIX = "bench_floor_"
# Which rows of a table a batch wrote, by the batch's row.
TABLES = {
    "exchange_order": "row.id BETWEEN batch.first_seq AND batch.last_seq",
    "exchange_fill": "row.batch_no = batch.no",
    "exchange_bookdelta": "row.batch_no = batch.no",
    "exchange_intakeresult": "row.seq BETWEEN batch.first_seq AND batch.last_seq",
    "exchange_sequencerbatch": "row.no = batch.no",
    "ledger_transaction": "row.id = batch.ledger_transaction",
    "ledger_entry": "row.transaction_id = batch.ledger_transaction",
    "ledger_holdentry": "row.transaction_id = batch.ledger_transaction",
    "ledger_batch": "row.first_transaction = batch.ledger_transaction",
}


@dataclass(frozen=True, slots=True)
class Slice:
    """What some batches wrote, by the transactions they were: of each batch a binary COPY stream a table."""

    transactions: list[list[dict[str, bytes]]]
    rows: int


def make_tables() -> None:
    """Each table's columns and primary key, and nothing else."""
    with connections["owner"].cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"CREATE TABLE {PREFIX}{table} (LIKE {table})")
            cursor.execute(
                """
                SELECT string_agg(attname, ', ' ORDER BY array_position(indkey::int2[], attnum))
                  FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)
                 WHERE indrelid = %s::regclass AND indisprimary
                """,
                [table],
            )
            (key,) = cursor.fetchone()
            cursor.execute(f"ALTER TABLE {PREFIX}{table} ADD PRIMARY KEY ({key})")
            cursor.execute(f"GRANT INSERT ON {PREFIX}{table} TO tokenbourse_app")


def last_batch() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_batch FROM exchange_exchangehead")
        number: int = cursor.fetchone()[0]
    return number


def written_after(batch_no: int) -> Slice:
    """What every batch after that number wrote."""
    connection.ensure_connection()
    raw: psycopg.Connection[Any] = connection.connection
    batches: list[dict[str, bytes]] = [{} for _ in range(last_batch() - batch_no)]
    rows = 0
    with raw.cursor() as cursor:
        for table, belongs in TABLES.items():
            cursor.execute(
                f"CREATE TEMPORARY TABLE slice AS SELECT batch.no AS of_batch, row.* FROM exchange_sequencerbatch batch"
                f" JOIN {table} row ON {belongs} WHERE batch.no > {batch_no:d}"
            )
            rows += cursor.rowcount
            cursor.execute("CREATE INDEX ON slice (of_batch)")
            cursor.execute(
                "SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute"
                " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
                [table],
            )
            (columns,) = cursor.fetchone() or ("",)
            for n, streams in enumerate(batches, start=batch_no + 1):
                query = f"SELECT {columns} FROM slice WHERE of_batch = {n:d}"
                with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)") as copy:
                    streams[table] = b"".join(map(bytes, copy))
            cursor.execute("DROP TABLE slice")
        cursor.execute(
            "SELECT array_agg(no ORDER BY no) FROM exchange_sequencerbatch WHERE no > %s"
            " GROUP BY xmin::text ORDER BY min(no)",
            [batch_no],
        )
        together = [[batches[no - batch_no - 1] for no in numbers] for (numbers,) in cursor.fetchall()]
    return Slice(together, rows)


def copy_seconds(written: Slice) -> float:
    """Seconds to write the same again."""
    connection.ensure_connection()
    raw: psycopg.Connection[Any] = connection.connection
    started = time.perf_counter()
    for batches in written.transactions:
        with raw.transaction(), raw.cursor() as cursor:
            for table, stream in chain.from_iterable(batch.items() for batch in batches):
                with cursor.copy(f"COPY {PREFIX}{table} FROM STDIN (FORMAT BINARY)") as copy:
                    copy.write(stream)
    return time.perf_counter() - started
