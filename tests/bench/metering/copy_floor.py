"""The floor under intake: a bare COPY of the events, identities and calls it wrote, a transaction a call."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

from django.db import connection

from tests.bench import copying
from tests.bench.copying import Transaction

# Which column has the call's number.
TABLES = {"settlement_usagededup": "batch_id", "settlement_usageevent": "batch_id", "settlement_usagebatch": "id"}


def make_tables() -> None:
    copying.make_tables(TABLES)


def last_call() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM settlement_usagebatch")
        number: int = cursor.fetchone()[0]
    return number


def written_after(call: int) -> list[Transaction]:
    """What every call after that number wrote."""
    calls: dict[int, Transaction] = {}
    for name, column in TABLES.items():
        table, rows = copying.read_rows(
            name, f"SELECT {column}, row.* FROM {name} row WHERE {column} > {call:d} ORDER BY {column}"
        )
        for number, written in groupby(rows, key=itemgetter(0)):
            calls.setdefault(number, []).append((table, [row for _, row in written]))
    return [calls[number] for number in sorted(calls)]
