"""Sealed periods: the balances of their end, computed again from the entries another way than the sealing did."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ledger.audit.findings import Finding, Looked, looked
from ledger.audit.layout import Span
from ledger.audit.registry import Check
from ledger.audit.snapshot import View
from ledger.log.seals import KIND, SOURCE, seal_reference
from ledger.merkle import RootFold

# What was last at a point of the past is the highest number up to it: one pass, whatever came later.
_BALANCES = """
    WITH entry AS (
        SELECT account_id, max(account_seq) AS seq FROM ledger_entry WHERE transaction_id <= %(through)s GROUP BY 1
    ), hold AS (
        SELECT account_id, max(hold_seq) AS seq FROM ledger_holdentry WHERE transaction_id <= %(through)s GROUP BY 1
    ), sealed AS (
        SELECT account_id, coalesce(entry.seq, 0) AS seq, coalesce(hold.seq, 0) AS hold_seq
          FROM entry FULL JOIN hold USING (account_id)
    )
    SELECT sha256('\\x0003' || int8send(sealed.account_id) || int8send(coalesce(account.asset_id, 0))
                  || int8send(sealed.seq) || int8send(coalesce(last_entry.balance_after, 0))
                  || int8send(sealed.hold_seq) || int8send(coalesce(last_hold.held_after, 0)))
      FROM sealed
      LEFT JOIN ledger_account AS account ON account.id = sealed.account_id
      LEFT JOIN ledger_entry AS last_entry
        ON last_entry.account_id = sealed.account_id AND last_entry.account_seq = sealed.seq
      LEFT JOIN ledger_holdentry AS last_hold
        ON last_hold.account_id = sealed.account_id AND last_hold.hold_seq = sealed.hold_seq
     ORDER BY sealed.account_id
"""
_SEALS = """
    SELECT seal.period, seal.ends_at, seal.through_transaction, seal.accounts, seal.root, seal.transaction_id,
           posted.source, posted.kind, posted.reference,
           coalesce((SELECT last_transaction FROM ledger_batch WHERE posted_at < seal.ends_at
                      ORDER BY posted_at DESC, no DESC LIMIT 1), 0)
      FROM ledger_periodseal AS seal
      LEFT JOIN ledger_transaction AS posted ON posted.id = seal.transaction_id
     WHERE seal.transaction_id > %(after)s ORDER BY seal.id
"""
_UNKNOWN = """
    SELECT id, reference FROM ledger_transaction
     WHERE source = %(source)s AND id > %(after)s
       AND NOT EXISTS (SELECT FROM ledger_periodseal WHERE transaction_id = ledger_transaction.id)
     ORDER BY id
"""


def _seals(view: View, _span: Span) -> Looked:
    after = {"after": view.base.transaction}
    seals = view.rows(_SEALS, after)

    def findings() -> Iterator[Finding]:
        for seal in seals:
            yield from _judge(view, *seal)
        for number, reference in view.rows(_UNKNOWN, after | {"source": SOURCE}):
            yield Finding(f"transaction {number}", f"it seals {reference}, but there is no such seal")

    return looked(len(seals), findings())


def _judge(
    view: View,
    period: str,
    ends_at: datetime,
    through: int,
    accounts: int,
    root: bytes,
    number: int,
    source: str | None,
    kind: str | None,
    reference: str | None,
    last_of_period: int,
) -> Iterator[Finding]:
    subject = f"seal {period}"
    if (source, kind, reference) != (SOURCE, KIND, seal_reference(period, root)):
        yield Finding(subject, f"transaction {number}, which should have put it into the journal, says {reference}")
    if through != last_of_period:
        told = f"it ends with transaction {through}, the period (to {ends_at:%Y-%m-%d %H:%M} UTC) with {last_of_period}"
        yield Finding(subject, told)
    fold = RootFold()
    for (leaf,) in view.stream(_BALANCES, {"through": through}):
        fold.add(leaf)
    if (fold.root(), fold.size) != (root, accounts):
        told = f"the entries give {fold.size} accounts under root {fold.root().hex()}"
        yield Finding(subject, f"{told}, sealed are {accounts} under {root.hex()}")


CHECKS = (
    Check(
        "period_seals",
        "Every sealed period's balances are those that its entries give, and the journal holds its seal",
        "Entries of a sealed period were changed, or its seal was. Ask who was given proofs of it for their copy.",
        _seals,
    ),
)
