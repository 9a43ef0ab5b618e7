"""The floor under the sequencer: a bare COPY of the rows it wrote.

Batches that were one transaction are one again. Rows that the sequencer only changed (older orders, accounts, counters)
are not in it.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

from django.db import connection

from tests.bench import copying
from tests.bench.copying import Transaction

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


def make_tables() -> None:
    copying.make_tables(TABLES)


def last_batch() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_batch FROM exchange_exchangehead")
        number: int = cursor.fetchone()[0]
    return number


def written_after(batch_no: int) -> list[Transaction]:
    """What every batch after that number wrote, by the transactions they were."""
    batches: list[Transaction] = [[] for _ in range(last_batch() - batch_no)]
    for name, belongs in TABLES.items():
        table, rows = copying.read_rows(
            name,
            f"SELECT batch.no, row.* FROM exchange_sequencerbatch batch JOIN {name} row ON {belongs}"
            f" WHERE batch.no > {batch_no:d} ORDER BY batch.no",
        )
        for no, written in groupby(rows, key=itemgetter(0)):
            batches[no - batch_no - 1].append((table, [row for _, row in written]))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT array_agg(no ORDER BY no) FROM exchange_sequencerbatch WHERE no > %s"
            " GROUP BY xmin::text ORDER BY min(no)",
            [batch_no],
        )
        return [
            [written for no in numbers for written in batches[no - batch_no - 1]] for (numbers,) in cursor.fetchall()
        ]
