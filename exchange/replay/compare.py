"""Record and replay side by side, table by table, in groups of rows that the databases hash themselves."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from django.db.models import Model
from psycopg import sql

from exchange import models as exchange
from exchange.replay.difference import ABSENT
from ledger import models as ledger
from ledger.audit.snapshot import Row, View

SHOWN = 300  # characters of a value
GROUP = 256  # rows, where nothing better groups them


@dataclass(frozen=True, slots=True)
class Compared:
    """A table: what its rows are called, by which columns they are told apart and ordered, and how they are grouped.

    `replayed` is the column that says how far the history has to be replayed for a row to be there, counted as `Reach`
    counts; a row without one is looked at when all has been replayed.
    """

    what: str
    model: type[Model]
    key: tuple[str, ...]
    group: str
    replayed: tuple[str, str] | None = None  # (column, field of Reach)
    without: frozenset[str] = frozenset()

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    @property
    def columns(self) -> list[str]:
        fields = [field.column for field in self.model._meta.concrete_fields]
        return [column for column in fields if column and column not in self.without]


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the history was replayed: the last of each kind of number."""

    batch: int
    transaction: int
    version: int


_OWN_ID = frozenset({"id"})  # a number that has no meaning, and gaps where something was rolled back
_BATCH, _TRANSACTION = ("batch_no", "batch"), ("transaction_id", "transaction")
HISTORY = (
    Compared("result of command", exchange.IntakeResult, ("seq",), "batch_no", _BATCH),
    Compared("command set aside", exchange.SetAside, ("seq",), "batch_no", _BATCH),
    Compared("fill", exchange.Fill, ("id",), "batch_no", _BATCH),
    Compared("prevented match", exchange.PreventedMatch, ("id",), "batch_no", _BATCH, _OWN_ID),
    Compared("reversal of fill", exchange.FillReversal, ("fill_id",), "batch_no", _BATCH),
    Compared("book delta", exchange.BookDelta, ("contract_id", "seq"), "batch_no", _BATCH),
    Compared("batch", exchange.SequencerBatch, ("no",), f"no / {GROUP}", ("no", "batch")),
    Compared("transaction", ledger.Transaction, ("id",), "batch_no", ("id", "transaction")),
    Compared("entry", ledger.Entry, ("transaction_id", "leg"), f"transaction_id / {GROUP}", _TRANSACTION),
    Compared("hold entry", ledger.HoldEntry, ("transaction_id", "position"), f"transaction_id / {GROUP}", _TRANSACTION),
    Compared(
        "change of account",
        ledger.AccountChange,
        ("head_version", "account_id"),
        f"head_version / {GROUP}",
        ("head_version", "version"),
        _OWN_ID,
    ),
    Compared("journal batch", ledger.Batch, ("no",), f"no / {GROUP}", ("last_transaction", "transaction")),
)
STANDING = (
    Compared("order", exchange.Order, ("id",), f"id / {GROUP}"),
    Compared("market of contract", exchange.ContractMarket, ("contract_id",), f"contract_id / {GROUP}"),
    Compared("contract", exchange.Contract, ("id",), f"id / {GROUP}"),
    Compared("dead-man switch", exchange.DeadManSwitch, ("shard", "party_id"), f"party_id / {GROUP}", None, _OWN_ID),
    Compared("account", ledger.Account, ("id",), f"id / {GROUP}"),
    Compared("shard", exchange.SequencerState, ("shard",), "0", None, frozenset({"epoch"})),
    Compared("head of the exchange", exchange.ExchangeHead, ("id",), "0"),
    Compared("head of the ledger", ledger.LedgerHead, ("id",), "0"),
)


@dataclass(frozen=True, slots=True)
class DifferentRow:
    """A row that is not the same on both sides; `step` is its number in the history, as its table counts."""

    subject: str
    field: str
    recorded: str
    replayed: str
    step: int


def first_difference(table: Compared, recorded: View, replayed: View, reach: Reach) -> DifferentRow | None:
    """The first row of a table that is not the same on both sides."""
    with (
        closing(_hashes(table, recorded, reach)) as ours,
        closing(_hashes(table, replayed, reach)) as theirs,
    ):
        for one, other in zip_longest(ours, theirs):
            if one != other:
                group = min(each[0] for each in (one, other) if each is not None)
                return _look_closer(table, group, recorded, replayed, reach)
    return None


def _hashes(table: Compared, view: View, reach: Reach) -> Generator[Row, None, None]:
    """(group, SHA-256 over its rows), in order."""
    query = sql.SQL(
        "SELECT {group} AS place, sha256(convert_to(string_agg(ROW({columns})::text, E'\\n' ORDER BY {key}), 'UTF8'))"
        " FROM {table} WHERE {part} GROUP BY 1 ORDER BY 1"
    )
    with view.connection.cursor(name="hashes", binary=True) as cursor:
        cursor.execute(query.format(**_parts(table)), _bounds(table, reach))
        yield from cursor


def _look_closer(table: Compared, group: int, recorded: View, replayed: View, reach: Reach) -> DifferentRow | None:
    ours, theirs = (_rows(table, group, view, reach) for view in (recorded, replayed))
    for one, other in zip_longest(ours, theirs):
        if one == other:
            continue
        if one is not None and (other is None or one[0] < other[0]):
            return _one_sided(table, one, recorded=True)
        if other is not None and (one is None or other[0] < one[0]):
            return _one_sided(table, other, recorded=False)
        return _changed(table, one, other)
    return None


def _rows(table: Compared, group: int, view: View, reach: Reach) -> list[Row]:
    """The rows of a group: key, number in the history, and all columns as text.

    Rows whose key means nothing are told apart by their place.
    """
    parts = _parts(table)
    parts["told_by"] = parts["key"]
    if table.without.intersection(table.key):
        parts["told_by"] = sql.SQL("row_number() OVER (ORDER BY {})").format(parts["key"])
    query = sql.SQL(
        "SELECT ARRAY[{told_by}]::bigint[], {step}, ARRAY[{texts}]"
        " FROM {table} WHERE {part} AND {group} = %(group)s ORDER BY {key}"
    )
    texts = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in table.columns)
    step = sql.Identifier(table.replayed[0]) if table.replayed else sql.SQL("0")
    return view.rows(query.format(texts=texts, step=step, **parts), _bounds(table, reach) | {"group": group})


def _one_sided(table: Compared, row: Row, *, recorded: bool) -> DifferentRow:
    key, step, values = row
    there = ", ".join(
        f"{name}={value}" for name, value in zip(table.columns, values, strict=True) if value not in (None, "")
    )
    sides = (_shown(there), ABSENT) if recorded else (ABSENT, _shown(there))
    return DifferentRow(_subject(table, key), "", *sides, step)


def _changed(table: Compared, one: Row, other: Row) -> DifferentRow:
    key, step, recorded = one
    _, _, replayed = other
    name, ours, theirs = next(
        each for each in zip(table.columns, recorded, replayed, strict=True) if each[1] != each[2]
    )
    field, ours, theirs = _narrow(name, ours, theirs)
    return DifferentRow(_subject(table, key), field, _shown(ours), _shown(theirs), step)


def _subject(table: Compared, key: Sequence[int]) -> str:
    return f"{table.what} {'/'.join(map(str, key))}"


def _narrow(name: str, ours: str | None, theirs: str | None) -> tuple[str, Any, Any]:
    """Of two JSON objects, the first member that differs."""
    try:
        one, other = json.loads(ours or ""), json.loads(theirs or "")
    except ValueError:
        return name, ours, theirs
    if isinstance(one, dict) and isinstance(other, dict):
        for member in sorted(one.keys() | other.keys()):
            if one.get(member) != other.get(member):
                return f"{name}.{member}", one.get(member), other.get(member)
    return name, ours, theirs


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _parts(table: Compared) -> dict[str, sql.Composable]:
    comma = sql.SQL(", ")
    part: sql.Composable = sql.SQL("true")
    if table.replayed is not None:
        part = sql.SQL("{} <= %(reach)s").format(sql.Identifier(table.replayed[0]))
    return {
        "group": sql.SQL(table.group),
        "columns": comma.join(map(sql.Identifier, table.columns)),
        "key": comma.join(map(sql.Identifier, table.key)),
        "table": sql.Identifier(table.table),
        "part": part,
    }


def _bounds(table: Compared, reach: Reach) -> dict[str, Any]:
    return {} if table.replayed is None else {"reach": getattr(reach, table.replayed[1])}
