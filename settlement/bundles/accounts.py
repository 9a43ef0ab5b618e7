"""A party's account between two statements, as a bundle has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from django.db import connection

from settlement.models import ClosingBalance, StatedCore
from settlement.recompute.accounts import AccountBalances, AccountEntry

_ENTRIES = """
SELECT entry.account_seq, entry.amount, posted.kind, posted.source, posted.reference, entry.ref
  FROM ledger_entry AS entry JOIN ledger_transaction AS posted ON posted.id = entry.transaction_id
 WHERE entry.account_id = %s AND entry.account_seq > %s AND entry.account_seq <= %s
 ORDER BY entry.account_seq
"""
_BALANCE = "SELECT balance_after FROM ledger_entry WHERE account_id = %s AND account_seq = %s"
_encoder = msgspec.json.Encoder(order="sorted")


def account_balances(stated: StatedCore, closing: ClosingBalance) -> AccountBalances:
    """From where the statement opens, which it says itself; the balance there is the ledger's."""
    core: dict[str, Any] = msgspec.json.decode(stated.core)
    opening_seq = int(core["balances"]["opening"]["account_seq"])
    with connection.cursor() as cursor:
        cursor.execute(_BALANCE, [closing.account_id, opening_seq])
        opening = cursor.fetchone()
    return AccountBalances(
        opening_micros=0 if opening is None else int(opening[0]),
        opening_seq=opening_seq,
        closing_micros=closing.balance,
        closing_seq=closing.seq,
        held_micros=closing.held,
        seed=bytes(closing.line_seed or b"").hex(),
        sequence=stated.sequence,
        previous_digest=None if stated.previous_digest is None else bytes(stated.previous_digest).hex(),
    )


def balances_file(balances: AccountBalances) -> bytes:
    """The balances as a file."""
    return _encoder.encode(balances)


def entry_lines(closing: ClosingBalance, after_seq: int) -> Iterator[bytes]:
    """The entries up to the closing balance, each as a line."""
    with connection.cursor() as cursor:
        cursor.execute(_ENTRIES, [closing.account_id, after_seq, closing.seq])
        for row in cursor.fetchall():
            yield _encoder.encode(AccountEntry(*row))
