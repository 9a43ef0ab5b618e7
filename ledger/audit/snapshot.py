"""What checks look through: read-only connections that all see the same instant, while the market goes on.

The first connection exports its snapshot, the others take it over. Checks get SQL and nothing else: PostgreSQL refuses
every write in a read-only transaction, so an audit cannot change what it looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from django.db import connection as django_connection
from psycopg import sql

from ledger.audit.findings import Finding, Looked, looked

Row = tuple[Any, ...]
Query = str | sql.SQL | sql.Composed

# Queries are over ranges of rows: compiling them would take longer than running them, and the second core is busy with
# the other connection.
_SETTINGS = {
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "work_mem": "32MB",
    "timezone": "UTC",
    "application_name": "tokenbourse audit",
}
_FOR_DJANGO = {"cursor_factory", "context", "prepare_threshold", "autocommit"}


@dataclass(frozen=True, slots=True)
class Base:
    """Where the last clean audit ended; an incremental one goes on from there, a full one from nothing."""

    transaction: int = 0
    batch: int = 0
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class View:
    """One connection's view of the snapshot. What came after `base` has not been looked at yet.

    `key` is a random number of 62 bits, another in every audit, for checks that compare fingerprints.
    """

    connection: psycopg.Connection[Row]
    base: Base
    key: int

    @property
    def full(self) -> bool:
        """Whether everything is looked at, from the first transaction on."""
        return self.base.transaction == 0

    def rows(self, query: Query, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """All rows of a query; for results that are small or cut to a range."""
        with self.connection.cursor(binary=True) as cursor:
            return cursor.execute(query, parameters).fetchall()

    def stream(self, query: Query, parameters: Mapping[str, Any] | None = None) -> Iterator[Row]:
        """The rows of a query one by one, however many they are. No other query runs in between."""
        with self.connection.cursor(binary=True) as cursor:
            yield from cursor.stream(query, parameters)

    def look(
        self, query: Query, parameters: Mapping[str, Any] | None, tell: Callable[..., Finding], *, rows: int
    ) -> Looked:
        """The outcome of a query that gives the rows in which something is wrong; `tell` takes their columns."""
        return looked(rows, (tell(*row) for row in self.stream(query, parameters)))


@contextmanager
def open_views(count: int, base: Base, *, key: int) -> Iterator[list[View]]:
    """Several views of the same instant, as the application's role on Django's database."""
    with ExitStack() as stack:
        connections = [stack.enter_context(_connect()) for _ in range(count)]
        ((snapshot,),) = connections[0].execute("SELECT pg_export_snapshot()").fetchall()
        for other in connections[1:]:
            other.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
        yield [View(connection, base, key) for connection in connections]


@contextmanager
def _connect() -> Iterator[psycopg.Connection[Row]]:
    """A connection whose transaction is about to begin."""
    parameters = django_connection.get_connection_params()
    own = {name: value for name, value in parameters.items() if name not in _FOR_DJANGO}
    with psycopg.connect(**own, autocommit=True) as connection:
        for name, value in _SETTINGS.items():
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.autocommit = False
        try:
            yield connection
        finally:
            if not connection.broken:
                connection.rollback()
