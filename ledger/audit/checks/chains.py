"""The chains that run through every account: each entry and each hold entry follows from the one numbered before it.

A full audit first takes a fingerprint (Blum et al., "Checking the correctness of memories", 1991): every entry adds a
keyed hash of the state it leaves (account, number, balance) and subtracts that of the state it goes on from. Where
chains are whole all of it cancels, but for the first and last state of every account. The key is drawn for each audit,
so nobody can prepare an edit that it misses; by chance it misses about one in 2^64. It reads the entries once, in the
order they are stored in. Only when it differs is every entry put beside the one before it, to name the wrong ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, LiteralString

from psycopg import sql
from psycopg.errors import NumericValueOutOfRange

from ledger.audit.findings import Finding, Looked
from ledger.audit.layout import WHOLE, Layout, Span
from ledger.audit.registry import Check
from ledger.audit.snapshot import View


@dataclass(frozen=True, slots=True)
class _Chain:
    """The columns of a chain: in its table, and on the account whose state it leads to. Hold entries name no asset."""

    what: str
    table: LiteralString
    number: LiteralString
    amount: LiteralString
    after: LiteralString
    asset: LiteralString | None
    last_number: LiteralString
    last_after: LiteralString

    def fill(self, query: sql.SQL, **more: sql.Composable) -> sql.Composed:
        return query.format(
            table=sql.SQL(self.table),
            number=sql.SQL(self.number),
            amount=sql.SQL(self.amount),
            after=sql.SQL(self.after),
            asset=sql.SQL(self.asset or "NULL::bigint"),
            **more,
        )


_ENTRIES = _Chain("entry", "ledger_entry", "account_seq", "amount", "balance_after", "asset_id", "seq", "balance")
_HOLDS = _Chain("hold entry", "ledger_holdentry", "hold_seq", "delta", "held_after", None, "hold_seq", "held")


def _hashed(*values: LiteralString) -> sql.Composed:
    """SQL for a keyed hash of bigints. PostgreSQL's own folds the halves of a number together, so the upper one is
    hashed by itself as well."""
    composed = sql.Composed([sql.SQL("%(key)s::bigint")])
    for value in values:
        part = sql.SQL("hashint8extended({0}, hashint8extended(({0}) >> 32, {1}))")
        composed = part.format(sql.SQL(value), composed)
    return composed


_FINGERPRINT = sql.SQL("SELECT coalesce(sum({left}), 0) - coalesce(sum({found}), 0), count(*) FROM {table}")
_EXPECTED = sql.SQL("SELECT coalesce(sum({last}), 0) - coalesce(sum({first}), 0) FROM ledger_account")
_COUNT = sql.SQL("SELECT count(*) FROM {table} WHERE transaction_id BETWEEN %(first)s AND %(last)s")
_BROKEN = sql.SQL(
    """
    SELECT entry.account_id, entry.{number}, entry.transaction_id, entry.{amount}, entry.{after}, link.before,
           account.id, account.asset_id, entry.asset
      FROM (SELECT account_id, {number}, transaction_id, {amount}, {after}, {asset} AS asset
              FROM {table} WHERE transaction_id BETWEEN %(first)s AND %(last)s) AS entry
      LEFT JOIN ledger_account AS account ON account.id = entry.account_id
     CROSS JOIN LATERAL (SELECT CASE WHEN entry.{number} = 1 THEN 0
                                     ELSE (SELECT {after} FROM {table} AS earlier
                                            WHERE earlier.account_id = entry.account_id
                                              AND earlier.{number} = entry.{number} - 1) END AS before) AS link
     WHERE link.before IS DISTINCT FROM entry.{after}::numeric - entry.{amount} OR account.id IS NULL
        OR entry.asset <> account.asset_id
     ORDER BY entry.account_id, entry.{number}
    """
)


def _of_chains(_view: View, layout: Layout) -> Sequence[Span]:
    return WHOLE if layout.full else layout.transactions


def _entry_chain(view: View, span: Span) -> Looked:
    return _chain(view, span, _ENTRIES)


def _hold_chain(view: View, span: Span) -> Looked:
    return _chain(view, span, _HOLDS)


def _chain(view: View, span: Span, chain: _Chain) -> Looked:
    if view.full and (whole := _whole(view, chain)) is not None:
        return Looked(whole)
    ((rows,),) = view.rows(chain.fill(_COUNT), asdict(span))

    def tell(account: int, number: int, transaction: int, *figures: Any) -> Finding:
        told = f"{chain.what} {number} of transaction {transaction}: {_break(number, *figures)}"
        return Finding(f"account {account}", told)

    return view.look(chain.fill(_BROKEN), asdict(span), tell, rows=rows)


def _whole(view: View, chain: _Chain) -> int | None:
    """How many entries there are, if the fingerprint says that all their chains are whole."""
    number, after, amount = chain.number, chain.after, chain.amount
    asset: tuple[LiteralString, ...] = ("asset_id",) if chain.asset else ()
    left = _hashed(number, after, "account_id", *asset)
    found = _hashed(f"{number} - 1", f"{after} - {amount}", "account_id", *asset)
    last = _hashed(chain.last_number, chain.last_after, "id", *asset)
    first = _hashed("0::bigint", "0::bigint", "id", *asset)
    key = {"key": view.key}
    try:
        with view.connection.transaction():
            ((fingerprint, rows),) = view.rows(chain.fill(_FINGERPRINT, left=left, found=found), key)
            ((expected,),) = view.rows(_EXPECTED.format(last=last, first=first), key)
    except NumericValueOutOfRange:  # a figure that no chain leads to
        return None
    return int(rows) if fingerprint == expected else None


def _break(
    number: int,
    amount: int,
    after: int,
    before: int | None,
    account: int | None,
    account_asset: int | None,
    asset: int | None,
) -> str:
    """What is wrong with a link of a chain, the gravest first."""
    if account is None:
        return "there is no such account"
    if before is None:
        return f"number {number - 1} is missing"
    if asset is not None and asset != account_asset:
        return f"it is in asset {asset}, the account in asset {account_asset}"
    return f"{before} and {amount} do not give {after}"


_REPAIR = "Rows were changed behind the posting door. Compare them with an export or backup; find out who did it."

CHECKS = (
    Check(
        "entry_chain",
        "In every account the entries follow each other without a gap, each balance from the one before",
        _REPAIR,
        _entry_chain,
        _of_chains,
    ),
    Check(
        "hold_chain",
        "In every account the hold entries follow each other without a gap, each held amount from the one before",
        _REPAIR,
        _hold_chain,
        _of_chains,
    ),
)
