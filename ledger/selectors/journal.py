"""Reading the journal as a whole, or a stretch of it.

Numbers are given out without gaps under the ledger head and nothing posted ever changes, so a stretch that ends at a
number reads the same in however many queries, and for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.db import connection, transaction
from psycopg import sql

from ledger.chart import AssetKind
from ledger.money import format_micros
from ledger.selectors.history import last_transaction_by

CHUNK_ROWS = 5_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_ACCOUNT_COLUMNS = sql.SQL(
    """
    account.id, party.code, account.role, account.qualifier, asset.id, asset.code, asset.kind,
    CASE WHEN account.qualifier <> '' THEN
        (SELECT id FROM ledger_asset named WHERE named.code = account.qualifier AND named.kind = 'contract')
    END
    """
)
_ACCOUNT_NAMES = sql.SQL(
    """
    JOIN ledger_party party ON party.id = account.party_id
    JOIN ledger_asset asset ON asset.id = account.asset_id
    """
)
_BALANCES = sql.SQL(
    """
    SELECT {columns}, last.balance_after
      FROM ledger_account account {names}
      JOIN LATERAL (SELECT balance_after FROM ledger_entry
                     WHERE account_id = account.id AND transaction_id <= %(through)s
                     ORDER BY account_seq DESC LIMIT 1) last ON true
     ORDER BY account.id
    """
).format(columns=_ACCOUNT_COLUMNS, names=_ACCOUNT_NAMES)
# Times are microseconds since 1970, since a row is an entry and reading a time twice an entry would be half the work.
_TRANSACTIONS = sql.SQL(
    """
    SELECT posted.id, posted.batch_no, posted.kind, posted.source, posted.reference, posted.actor,
           (extract(epoch FROM posted.effective_at) * 1000000)::bigint,
           (extract(epoch FROM posted.posted_at) * 1000000)::bigint, posted.reverses,
           entry.leg, entry.amount, entry.balance_after, entry.ref, {columns}
      FROM ledger_transaction posted
      LEFT JOIN (ledger_entry entry JOIN ledger_account account ON account.id = entry.account_id {names})
                ON entry.transaction_id = posted.id
                   AND entry.transaction_id > %(after)s AND entry.transaction_id <= %(through)s
     WHERE posted.id > %(after)s AND posted.id <= %(through)s
     ORDER BY posted.id, entry.leg
    """
).format(columns=_ACCOUNT_COLUMNS, names=_ACCOUNT_NAMES)


@dataclass(frozen=True, slots=True)
class JournalAccount:
    """An account by the names that are known outside.

    `qualifier_asset_id` is the asset of the contract whose symbol the qualifier is, None when it is none.
    """

    id: int
    party: str
    role: str
    qualifier: str
    asset_id: int
    asset: str
    asset_kind: str
    qualifier_asset_id: int | None

    def format(self, amount: int) -> str:
        """Currencies as decimal strings with six fraction digits, contract tokens as whole numbers."""
        return format_micros(amount) if self.asset_kind == AssetKind.CURRENCY else str(amount)


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """An entry; amounts in the asset's smallest unit."""

    leg: int
    account: JournalAccount
    amount: int
    balance_after: int
    ref: str


@dataclass(frozen=True, slots=True)
class JournalTransaction:
    """A transaction with its entries in leg order; those that only move holds have none. Times are UTC."""

    number: int
    batch_no: int
    kind: str
    source: str
    reference: str
    actor: str
    effective_at: datetime
    posted_at: datetime
    reverses: int | None
    entries: tuple[JournalEntry, ...]


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """Where an account's entries leave it: the running balance recorded in the last of them."""

    account: JournalAccount
    balance: int


@dataclass(frozen=True, slots=True)
class Extract:
    """A stretch of the journal: the transactions numbered above `after`, up to `through`.

    `start` and `end` are the instants that were asked for, None where the journal itself begins or ends. `batch_no`
    and `batch_hash` are of the batch that seals `through`; 0 and empty before the first.
    """

    after: int
    through: int
    start: datetime | None
    end: datetime | None
    batch_no: int
    batch_hash: bytes

    def opening(self) -> Iterator[AccountBalance]:
        """Balances other than 0 before the first transaction. They sum to 0 in every asset."""
        return (each for each in _iter_balances(self.after) if each.balance)

    def transactions(self) -> Iterator[JournalTransaction]:
        """In number order, without holding them all in memory."""
        return _iter_transactions(self.after, self.through)

    def closing(self) -> Iterator[AccountBalance]:
        """Balances after the last transaction, of every account that ever had an entry."""
        return _iter_balances(self.through)


@dataclass(frozen=True, slots=True)
class JournalTotals:
    """Size of the journal; `unbalanced` transactions do not sum to zero in some asset."""

    transactions: int
    entries: int
    unbalanced: int


def extract_journal(start: datetime | None = None, end: datetime | None = None) -> Extract:
    """What was posted from `start` until before `end`, as of now; all of it without them.

    A stretch ends before the first transaction posted at or after `end`, so stretches that meet in time meet in
    numbers, even where a clock went back.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT last_transaction, no, hash FROM ledger_batch
             WHERE %(limit)s::bigint IS NULL OR first_transaction <= %(limit)s ORDER BY no DESC LIMIT 1
            """,
            {"limit": None if end is None else _last_before(end)},
        )
        through, batch_no, batch_hash = cursor.fetchone() or (0, 0, b"")
    after = 0 if start is None else min(_last_before(start), through)
    return Extract(after, through, start, end, batch_no, bytes(batch_hash))


def get_journal_totals() -> JournalTotals:
    """Counts over the whole journal; reads all of it."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT (SELECT count(*) FROM ledger_transaction), (SELECT count(*) FROM ledger_entry),
                   (SELECT count(DISTINCT transaction_id)
                      FROM (SELECT transaction_id FROM ledger_entry
                             GROUP BY transaction_id, asset_id HAVING sum(amount) <> 0) AS off)
            """
        )
        return JournalTotals(*cursor.fetchone())


def _last_before(instant: datetime) -> int:
    return last_transaction_by(instant - timedelta(microseconds=1))


def _iter_balances(through: int) -> Iterator[AccountBalance]:
    for *account, balance in _stream(_BALANCES, through=through):
        yield AccountBalance(JournalAccount(*account), balance)


def _iter_transactions(after: int, through: int) -> Iterator[JournalTransaction]:
    for number, group in groupby(_stream(_TRANSACTIONS, after=after, through=through), key=itemgetter(0)):
        legs = list(group)
        _, batch_no, kind, source, reference, actor, effective_at, posted_at, reverses = legs[0][:9]
        yield JournalTransaction(
            number, batch_no, kind, source, reference, actor,
            EPOCH + timedelta(microseconds=effective_at), EPOCH + timedelta(microseconds=posted_at), reverses,
            tuple(
                JournalEntry(leg, JournalAccount(*account), amount, balance_after, ref)
                for _, _, _, _, _, _, _, _, _, leg, amount, balance_after, ref, *account in legs
                if leg is not None
            ),
        )  # fmt: skip


def _stream(query: sql.Composed, **parameters: int) -> Iterator[tuple[Any, ...]]:
    """Rows through a cursor of the server's, so that memory stays flat however many there are."""
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(query, parameters)
        while rows := cursor.fetchmany(CHUNK_ROWS):
            yield from rows
