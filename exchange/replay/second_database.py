"""The database in which the replay takes place, and what is there before the first command."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from ledger.audit.snapshot import View
from ledger.chart import UNBOUNDED_ROLES

Settings = Mapping[str, Any]
TAKEN_OVER = ("ledger_party", "ledger_asset", "exchange_product", "exchange_productterms", "exchange_intake")
LISTED = {  # a contract's columns that its life changes, as listing leaves them
    "state": "'listed'::text",
    "state_reason": "''::text",
    "cancelled_at": "NULL::timestamptz",
    "reference_price_micros": "NULL::bigint",
    "reference_step": "''::text",
    "obligations_hash": "NULL::bytea",
}
# Who decided is no part of what happens again; the audit of the record looks at that.
UNDECIDED = (
    "ALTER TABLE exchange_intake DISABLE TRIGGER exchange_command_is_decided",
    "ALTER TABLE exchange_contract DISABLE TRIGGER exchange_cancellation_is_decided",
)
_UNBOUNDED = ", ".join(f"'{role}'" for role in sorted(UNBOUNDED_ROLES))
EMPTY = {  # an account's
    **dict.fromkeys(("balance", "held", "seq", "hold_seq"), "0::bigint"),
    "floor": f"CASE WHEN role IN ({_UNBOUNDED}) THEN NULL ELSE 0::bigint END",
    "frozen": "false",
    "closed": "false",
}


class NotReplayable(Exception):
    """There is no database to replay into, or no whole history to replay; the message says what to do."""


def settings_of(url: str) -> Settings:
    """A PostgreSQL URL as Django takes it. Raises `NotReplayable`; the URL is not repeated, it may hold a password."""
    try:
        parts = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise NotReplayable("--into is not a PostgreSQL URL.") from None
    known = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    options = {name: value for name, value in parts.items() if name not in known.values()}
    return {name: str(parts.get(part) or "") for name, part in known.items()} | {"OPTIONS": options}


@contextmanager
def made_database(*, keep: bool) -> Iterator[Settings]:
    """A new database beside the recorded one, dropped at the end. Raises `NotReplayable`."""
    if "owner" not in connections.databases:
        raise NotReplayable(
            "DATABASE_OWNER_URL is not set: only the owner can make a second database. Or name an empty one "
            "with --into."
        )
    owner = connections["owner"]
    name = f"{str(owner.settings_dict['NAME'])[:40]}_replay_{secrets.token_hex(4)}"
    _as_owner(owner, "CREATE DATABASE {}", name)
    try:
        yield {key: owner.settings_dict[key] for key in ("USER", "PASSWORD", "HOST", "PORT", "OPTIONS")} | {
            "NAME": name
        }
    finally:
        if not keep:
            _as_owner(owner, "DROP DATABASE {} WITH (FORCE)", name)
        owner.close()


def _as_owner(owner: BaseDatabaseWrapper, statement: str, name: str) -> None:
    owner.ensure_connection()
    try:
        owner.connection.execute(sql.SQL(statement).format(sql.Identifier(name)))
    except psycopg.errors.InsufficientPrivilege:
        raise NotReplayable(
            "The owner may not make databases. Name an empty one of the owner's with --into, or let an administrator "
            "ALTER ROLE … CREATEDB."
        ) from None


@contextmanager
def standing_in(into: Settings) -> Iterator[None]:
    """Inside, Django's own connection is one to that database, as its owner."""
    recorded = connections["default"]
    replayed = recorded.copy()
    replayed.settings_dict.update(into)
    connections["default"] = replayed
    try:
        yield
    finally:
        replayed.close()
        connections["default"] = recorded


def prepare_database(record: View) -> None:
    """Migrate it, and copy what the sequencer does not decide. Raises `NotReplayable` unless it was empty."""
    call_command("migrate", verbosity=0, interactive=False)
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (TABLE ledger_party) OR EXISTS (TABLE exchange_intake)")
        if cursor.fetchone()[0]:
            raise NotReplayable("The database to replay into is not empty.")
        for statement in UNDECIDED:
            cursor.execute(statement)
        # Nothing here outlives the replay: a commit need not wait for the disk.
        cursor.execute("SET synchronous_commit = off")
    with transaction.atomic():
        for table in TAKEN_OVER:
            _copy(record, table, {})
        _copy(record, "exchange_contract", LISTED)
        _copy(record, "ledger_account", EMPTY)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence('ledger_account', 'id'),"
            " (SELECT coalesce(max(id), 0) + 1 FROM ledger_account))"
        )
        cursor.execute("ANALYZE")


def _copy(record: View, table: str, changed: Mapping[str, str]) -> None:
    """All rows of a table, with other values in some columns."""
    columns = [
        name
        for (name,) in record.rows(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = %(table)s::regclass"
            " AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            {"table": table},
        )
    ]
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    values = sql.SQL(", ").join(sql.SQL(changed[name]) if name in changed else sql.Identifier(name) for name in columns)
    out = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT (FORMAT BINARY)").format(values, sql.Identifier(table))
    into = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(sql.Identifier(table), names)
    with (
        record.connection.cursor() as reading,
        psycopg.Cursor(connection.connection) as writing,
        reading.copy(out) as rows,
        writing.copy(into) as copy,
    ):
        for data in rows:
            copy.write(data)
