"""What the ledger says of an account between two of its entries."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from settlement.statements.document import Movement


@dataclass(frozen=True, slots=True)
class RefEntry:
    """An entry with the reference of its transaction."""

    reference: str
    ref: str
    micros: int


def movements(account_id: int, *, after_seq: int, until_seq: int) -> tuple[Movement, ...]:
    """An account's entries in `(after_seq, until_seq]`, summed by kind of transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT posted.kind, count(*), sum(entry.amount)
              FROM ledger_entry entry JOIN ledger_transaction posted ON posted.id = entry.transaction_id
             WHERE entry.account_id = %s AND entry.account_seq > %s AND entry.account_seq <= %s
             GROUP BY posted.kind ORDER BY posted.kind
            """,
            [account_id, after_seq, until_seq],
        )
        return tuple(Movement(kind, entries, int(micros)) for kind, entries, micros in cursor.fetchall())


def entries_with_refs(account_id: int, source: str, references: list[str], refs: list[str]) -> list[RefEntry]:
    """An account's entries in the transactions of these references that carry one of these refs, in order."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT posted.reference, entry.ref, entry.amount
              FROM ledger_transaction posted JOIN ledger_entry entry ON entry.transaction_id = posted.id
             WHERE posted.source = %s AND posted.reference = ANY(%s) AND entry.account_id = %s AND entry.ref = ANY(%s)
             ORDER BY entry.account_seq
            """,
            [source, references, account_id, refs],
        )
        return [RefEntry(*row) for row in cursor.fetchall()]
