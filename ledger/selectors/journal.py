"""Reading the journal as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection, transaction

CHUNK_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class JournalLine:
    """An entry with its transaction and account, by the names that are known outside."""

    transaction_id: int
    leg: int
    batch_no: int
    kind: str
    source: str
    reference: str
    actor: str
    effective_at: datetime
    posted_at: datetime
    party: str
    role: str
    qualifier: str
    asset: str
    asset_kind: str
    amount: int
    balance_after: int
    ref: str


@dataclass(frozen=True, slots=True)
class JournalTotals:
    """Size of the journal; `unbalanced` transactions do not sum to zero in some asset."""

    transactions: int
    entries: int
    unbalanced: int


def iter_journal() -> Iterator[JournalLine]:
    """All entries in posting order, as of the moment of the call, without holding them all in memory."""
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(
            """
            SELECT entry.transaction_id, entry.leg, posted.batch_no, posted.kind, posted.source, posted.reference,
                   posted.actor, posted.effective_at, posted.posted_at, party.code, account.role, account.qualifier,
                   asset.code, asset.kind, entry.amount, entry.balance_after, entry.ref
              FROM ledger_entry entry
              JOIN ledger_transaction posted ON posted.id = entry.transaction_id
              JOIN ledger_account account ON account.id = entry.account_id
              JOIN ledger_party party ON party.id = account.party_id
              JOIN ledger_asset asset ON asset.id = entry.asset_id
             ORDER BY entry.transaction_id, entry.leg
            """
        )
        while rows := cursor.fetchmany(CHUNK_ROWS):
            for number, leg, batch_no, kind, source, reference, actor, effective_at, posted_at, *rest in rows:
                times = (effective_at.astimezone(UTC), posted_at.astimezone(UTC))
                yield JournalLine(number, leg, batch_no, kind, source, reference, actor, *times, *rest)


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
