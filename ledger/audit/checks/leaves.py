"""Every transaction's rows, hashed again. A second implementation of the leaf beside `ledger.leaf`: PostgreSQL builds
the bytes of items and headers as LEAF_FORMAT.md has them, and only the trees above them are folded here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict

from psycopg import sql

from ledger.audit.findings import Finding, Looked, looked
from ledger.audit.layout import Span
from ledger.audit.registry import Check, by_transactions
from ledger.audit.snapshot import View

HASH = 32
_NOTHING = hashlib.sha256(b"").digest()


def microseconds(*column: str) -> sql.Composed:
    """SQL for an instant's microseconds since 1970 as eight bytes; PostgreSQL counts from 2000, 262,968 hours later."""
    return sql.SQL("timestamptz_send({} + interval '262968 hours')").format(sql.Identifier(*column))


def _text(column: str) -> sql.Composed:
    """SQL for a text with its length in two bytes before it."""
    return sql.SQL("int2send(octet_length({0})::int2) || convert_to({0}, 'UTF8')").format(sql.Identifier(column))


# The items come in order from a sorted subquery, and `string_agg` takes them as they come.
_LEGS = sql.SQL(
    """
    SELECT transaction_id, string_agg(hash, '') AS hashes FROM (
        SELECT transaction_id,
               sha256('\\x0001' || int4send(leg) || int8send(account_id) || int8send(asset_id) || int8send(amount)
                      || int8send(account_seq) || int8send(balance_after) || {ref}) AS hash
          FROM ledger_entry WHERE transaction_id BETWEEN %(first)s AND %(last)s ORDER BY transaction_id, leg) AS item
     GROUP BY transaction_id
"""
).format(ref=_text("ref"))
_HOLDS = sql.SQL(
    """
    SELECT transaction_id, string_agg(hash, '') AS hashes FROM (
        SELECT transaction_id,
               sha256('\\x0002' || int4send(position) || int8send(account_id) || int8send(delta) || int8send(hold_seq)
                      || int8send(held_after) || {ref}) AS hash
          FROM ledger_holdentry
         WHERE transaction_id BETWEEN %(first)s AND %(last)s ORDER BY transaction_id, position) AS item
     GROUP BY transaction_id
"""
).format(ref=_text("ref"))
_MADE = sql.SQL(
    """
    SELECT posted.id, posted.leaf,
           '\\x0002'::bytea || int8send(posted.id) || {kind} || {source} || {reference}
           || {actor} || request_hash || {effective_at} || {posted_at}
           || int8send(coalesce(reverses, 0)) || int4send(posted.legs)
           || int4send(coalesce(octet_length(hold.hashes), 0) / {hash}) AS header,
           coalesce(leg.hashes, '') || coalesce(hold.hashes, '') AS hashes
      FROM ledger_transaction AS posted
      LEFT JOIN ({legs}) AS leg ON leg.transaction_id = posted.id
      LEFT JOIN ({holds}) AS hold ON hold.transaction_id = posted.id
     WHERE posted.id BETWEEN %(first)s AND %(last)s ORDER BY posted.id
"""
).format(
    **{column: _text(column) for column in ("kind", "source", "reference", "actor")},
    **{column: microseconds(column) for column in ("effective_at", "posted_at")},
    hash=sql.Literal(HASH),
    legs=_LEGS,
    holds=_HOLDS,
)
# The trees of two and of four items, which nearly all are, PostgreSQL folds itself; what is larger comes here, and what
# does not fit. OFFSET 0 keeps it from making the bytes anew wherever they are named.
_LEAVES = sql.SQL(
    """
    SELECT id, leaf, header, hashes FROM ({made} OFFSET 0) AS made
     WHERE leaf <> CASE octet_length(hashes)
         WHEN 2 * {hash} THEN sha256(header || sha256('\\x01' || hashes))
         WHEN 4 * {hash} THEN sha256(header || sha256('\\x01' || sha256('\\x01' || substr(hashes, 1, 2 * {hash}))
                                                           || sha256('\\x01' || substr(hashes, 2 * {hash} + 1))))
         ELSE '' END
"""
).format(made=_MADE, hash=sql.Literal(HASH))


def root_over(hashes: bytes) -> bytes:
    """The RFC 6962 root over leaf hashes that stand one behind the other."""
    if not hashes:
        return _NOTHING
    if len(hashes) % HASH:  # something else than hashes, which folding would never make shorter
        return b""
    node = hashlib.sha256(b"\x01").copy  # half of what a hash of so little costs is setting it up
    while len(hashes) > HASH:
        whole = len(hashes) - len(hashes) % (2 * HASH)
        above = []
        for at in range(0, whole, 2 * HASH):
            made = node()
            made.update(hashes[at : at + 2 * HASH])
            above.append(made.digest())
        hashes = b"".join(above) + hashes[whole:]
    return hashes


def _leaves(view: View, span: Span) -> Looked:
    def findings() -> Iterator[Finding]:
        for number, leaf, header, hashes in view.rows(_LEAVES, asdict(span)):
            found = hashlib.sha256(header + root_over(hashes)).digest()
            if found != leaf:
                told = f"its rows give the leaf {found.hex()}, recorded is {leaf.hex()}"
                yield Finding(f"transaction {number}", told)

    return looked(span.rows, findings())


CHECKS = (
    Check(
        "leaves",
        "Every transaction's rows give the hash that was recorded when it was posted",
        "The transaction, its entries or its hold entries were changed. Compare them with an export or backup.",
        _leaves,
        by_transactions,
    ),
)
