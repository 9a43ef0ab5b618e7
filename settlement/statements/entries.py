"""What the ledger says of an account between two of its entries."""

from __future__ import annotations

from django.db import connection

from settlement.adjustments import ADJUSTMENT
from settlement.postings import SETTLE
from settlement.statements.document import Movement


def movements(account_id: int, *, after_seq: int, until_seq: int) -> tuple[Movement, ...]:
    """An account's entries in `(after_seq, until_seq]`, summed by kind of transaction, those of settlement by what
    their legs are for: one transaction of settlement holds legs of many kinds."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT CASE WHEN posted.kind = ANY(%s) AND entry.ref <> '' THEN split_part(entry.ref, ':', 1)
                        ELSE posted.kind END AS moved,
                   count(*), sum(entry.amount)
              FROM ledger_entry entry JOIN ledger_transaction posted ON posted.id = entry.transaction_id
             WHERE entry.account_id = %s AND entry.account_seq > %s AND entry.account_seq <= %s
             GROUP BY moved
            """,
            [[SETTLE, ADJUSTMENT], account_id, after_seq, until_seq],
        )
        return tuple(Movement(kind, entries, int(micros)) for kind, entries, micros in sorted(cursor.fetchall()))
