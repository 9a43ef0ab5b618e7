"""Balances and holds as they stood: at any transaction of the past, at any instant, and by effective date.

Entries and hold entries are never changed, so what is found for a point of the past stays true. The entries of an
account have rising transaction numbers; the last one before a point is found by a search from the newest entry
backwards, in ever longer steps and then by halves: as many look-ups in the primary key as the number of entries
posted since has binary digits. By effective date nothing is in order, and every entry of the account is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from psycopg import sql

from ledger.errors import NotFound
from ledger.models import Batch, LedgerHead


@dataclass(frozen=True, slots=True)
class Point:
    """A point of the past: all transactions through number `through` count, or of those only the ones that take effect
    at or before `effective_at`."""

    through: int
    effective_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """What an account stood at, in the asset's smallest unit, and how many entries and hold entries that counts."""

    balance: int
    entries: int
    held: int
    hold_entries: int


def find_point(
    *, transaction: int | None = None, posted_by: datetime | None = None, effective_at: datetime | None = None
) -> Point | None:
    """The point after a transaction, or after all that was posted at or before an instant; None when none is named.

    With `effective_at` alone it is as known now. Raises `NotFound` for a transaction that is not posted yet.
    """
    if transaction is None and posted_by is None and effective_at is None:
        return None
    last = _last_transaction()
    if transaction is not None and transaction > last:
        raise NotFound(
            f"There is no transaction {transaction} yet; the last is {last}.", field="as_of_transaction", last=str(last)
        )
    through = last if transaction is None else transaction
    if posted_by is not None:
        through = min(through, last_transaction_by(posted_by))
    return Point(through, effective_at)


def last_transaction_by(instant: datetime) -> int:
    """The number of the last transaction posted at or before `instant`, 0 when there is none.

    Posting times never fall, so all transactions before it were posted by then too.
    """
    by_then = Batch.objects.filter(posted_at__lte=instant).order_by("-posted_at", "-no")
    return by_then.values_list("last_transaction", flat=True).first() or 0


def _last_transaction() -> int:
    return LedgerHead.objects.values_list("last_transaction", flat=True).get(id=1)


def figures_at(point: Point, account_ids: Iterable[int] | None = None) -> dict[int, Figures]:
    """The figures of accounts at a point, by account id; of all accounts unless some are named.

    Holds from before there was evidence of them count as the first there was.
    """
    wanted = None if account_ids is None else list(account_ids)
    if point.effective_at is None:
        entries = _search(_LAST_ENTRY, point.through, wanted)
        holds = _search(_LAST_HOLD, point.through, wanted)
    else:
        entries = _sum(_EFFECTIVE_ENTRIES, point.through, point.effective_at, wanted)
        holds = _sum(_EFFECTIVE_HOLDS, point.through, point.effective_at, wanted)
    return {account_id: Figures(*figures, *holds[account_id]) for account_id, figures in entries.items()}


# `low`: an entry that counts and leaves the account at `after`, or 0; `high`: the last that may count. The newest entry
# is tried first; `step` doubles until one counts is found. The look-ups are lateral and kept apart by OFFSET 0: as a
# plain join the planner may read the whole table in every round.
_LAST = sql.SQL(
    """
    WITH RECURSIVE search (account_id, low, high, step, after) AS (
        SELECT account.id,
               CASE WHEN newest.counts THEN account.{count} ELSE 0 END,
               CASE WHEN newest.counts THEN account.{count} ELSE greatest(account.{count} - 1, 0) END,
               1::bigint,
               CASE WHEN newest.counts THEN newest.after ELSE 0 END
          FROM ledger_account AS account
          LEFT JOIN LATERAL (SELECT {after} AS after, transaction_id <= %(through)s AS counts FROM {table}
                              WHERE account_id = account.id AND {number} = account.{count} OFFSET 0) AS newest ON true
         WHERE %(wanted)s::bigint[] IS NULL OR account.id = ANY(%(wanted)s::bigint[])
        UNION ALL
        SELECT tried.account_id,
               CASE WHEN found.counts THEN tried.number ELSE tried.low END,
               CASE WHEN found.counts THEN tried.high ELSE tried.number - 1 END,
               2 * tried.step + 1,
               CASE WHEN found.counts THEN found.after ELSE tried.after END
          FROM (SELECT account_id, low, high, step, after,
                       CASE WHEN low = 0 THEN greatest(high - step, 1) ELSE (low + high + 1) / 2 END AS number
                  FROM search WHERE low < high) AS tried
          LEFT JOIN LATERAL (SELECT {after} AS after, transaction_id <= %(through)s AS counts FROM {table}
                              WHERE account_id = tried.account_id AND {number} = tried.number OFFSET 0) AS found ON true
    )
    SELECT account_id, after, low FROM search WHERE low = high
    """
)
_LAST_ENTRY = _LAST.format(
    table=sql.Identifier("ledger_entry"),
    count=sql.Identifier("seq"),
    number=sql.Identifier("account_seq"),
    after=sql.Identifier("balance_after"),
)
_LAST_HOLD = _LAST.format(
    table=sql.Identifier("ledger_holdentry"),
    count=sql.Identifier("hold_seq"),
    number=sql.Identifier("hold_seq"),
    after=sql.Identifier("held_after"),
)

# Hold entries of transaction 0 stood before all transactions.
_EFFECTIVE = sql.SQL(
    """
    SELECT account.id, coalesce(found.total, 0), found.rows
      FROM ledger_account AS account
     CROSS JOIN LATERAL (SELECT sum(change.{amount}) AS total, count(*) AS rows
                           FROM {table} AS change
                           LEFT JOIN ledger_transaction posted ON posted.id = change.transaction_id
                          WHERE change.account_id = account.id AND change.transaction_id <= %(through)s
                            AND (change.transaction_id = 0 OR posted.effective_at <= %(effective_at)s)) AS found
     WHERE %(wanted)s::bigint[] IS NULL OR account.id = ANY(%(wanted)s::bigint[])
    """
)
_EFFECTIVE_ENTRIES = _EFFECTIVE.format(table=sql.Identifier("ledger_entry"), amount=sql.Identifier("amount"))
_EFFECTIVE_HOLDS = _EFFECTIVE.format(table=sql.Identifier("ledger_holdentry"), amount=sql.Identifier("delta"))


def _search(query: sql.Composed, through: int, wanted: list[int] | None) -> dict[int, tuple[int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(query, {"through": through, "wanted": wanted})
        return {account_id: (after, number) for account_id, after, number in cursor.fetchall()}


def _sum(
    query: sql.Composed, through: int, effective_at: datetime, wanted: list[int] | None
) -> dict[int, tuple[int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(query, {"through": through, "effective_at": effective_at, "wanted": wanted})
        return {account_id: (int(total), rows) for account_id, total, rows in cursor.fetchall()}
