"""Transactions and their entries: zero sums, numbering, reversals, and the chains that run through every account."""

from __future__ import annotations

from dataclasses import asdict
from operator import itemgetter

from ledger.audit.findings import Finding, Looked, looked
from ledger.audit.layout import Span
from ledger.audit.registry import Check, by_transactions
from ledger.audit.snapshot import View

# Their few rows are sorted here: asked for an order, the planner would sort all the entries to give it to them.
_UNBALANCED = """
    SELECT transaction_id, asset_id, sum(amount) FROM ledger_entry
     WHERE transaction_id BETWEEN %(first)s AND %(last)s
     GROUP BY transaction_id, asset_id HAVING sum(amount) <> 0
"""
_MISNUMBERED = """
    SELECT coalesce(posted.id, entry.transaction_id, hold.transaction_id), posted.legs, coalesce(entry.count, 0),
           entry.lowest, entry.highest, coalesce(hold.count, 0), hold.lowest, hold.highest
      FROM (SELECT id, legs FROM ledger_transaction WHERE id BETWEEN %(first)s AND %(last)s) AS posted
      FULL JOIN (SELECT transaction_id, count(*), min(leg) AS lowest, max(leg) AS highest FROM ledger_entry
                  WHERE transaction_id BETWEEN %(first)s AND %(last)s GROUP BY transaction_id) AS entry
        ON entry.transaction_id = posted.id
      FULL JOIN (SELECT transaction_id, count(*), min(position) AS lowest, max(position) AS highest
                   FROM ledger_holdentry
                  WHERE transaction_id BETWEEN %(first)s AND %(last)s AND transaction_id <> 0
                  GROUP BY transaction_id) AS hold
        ON hold.transaction_id = coalesce(posted.id, entry.transaction_id)
     WHERE posted.id IS NULL OR coalesce(entry.count, 0) <> posted.legs
        OR entry.lowest <> 1 OR entry.highest <> entry.count OR hold.lowest <> 1 OR hold.highest <> hold.count
"""
_UNMIRRORED = """
    SELECT id, reverses, legs,
           (SELECT min(account_id) FROM (SELECT account_id FROM ledger_entry
                                          WHERE transaction_id IN (posted.id, posted.reverses)
                                          GROUP BY account_id HAVING sum(amount) <> 0) AS off)
      FROM ledger_transaction AS posted
     WHERE reverses IS NOT NULL AND id > %(after)s
       AND (reverses >= id OR legs = 0 OR NOT EXISTS (SELECT FROM ledger_entry WHERE transaction_id = posted.reverses)
            OR EXISTS (SELECT FROM ledger_entry WHERE transaction_id IN (posted.id, posted.reverses)
                        GROUP BY account_id HAVING sum(amount) <> 0))
"""


def _zero_sum(view: View, span: Span) -> Looked:
    rows = sorted(view.rows(_UNBALANCED, asdict(span)))
    return looked(
        span.rows,
        (
            Finding(f"transaction {number}", f"its legs sum to {total} in asset {asset}, not to 0")
            for number, asset, total in rows
        ),
    )


def _numbered(view: View, span: Span) -> Looked:
    rows = sorted(view.rows(_MISNUMBERED, asdict(span)), key=itemgetter(0))
    return looked(span.rows, (_tell_numbering(*row) for row in rows))


def _tell_numbering(
    number: int,
    legs: int | None,
    entries: int,
    lowest: int | None,
    highest: int | None,
    holds: int,
    lowest_hold: int | None,
    highest_hold: int | None,
) -> Finding:
    if legs is None:
        return Finding(f"transaction {number}", f"it has {entries} entries and {holds} hold entries, but no header")
    said = f"it should have {legs} legs and has {entries}"
    if entries:
        said += f", numbered from {lowest} to {highest}"
    if holds:
        said += f"; its {holds} hold entries are numbered from {lowest_hold} to {highest_hold}"
    return Finding(f"transaction {number}", said)


def _mirrored(view: View, _span: Span) -> Looked:
    parameters = {"after": view.base.transaction}
    ((reversals,),) = view.rows(
        "SELECT count(*) FROM ledger_transaction WHERE reverses IS NOT NULL AND id > %(after)s", parameters
    )

    def tell(number: int, reverses: int, legs: int, account: int | None) -> Finding:
        where = "" if account is None else f"; account {account} is not put back"
        return Finding(f"transaction {number}", f"its {legs} legs do not mirror transaction {reverses}{where}")

    return view.look(_UNMIRRORED, parameters, tell, rows=reversals)


_REPAIR = "Rows were changed behind the posting door. Compare them with an export or backup; find out who did it."

CHECKS = (
    Check("zero_sum", "Every transaction sums to zero in each asset", _REPAIR, _zero_sum, by_transactions),
    Check(
        "numbering",
        "Every transaction has all its legs and hold changes, numbered from 1",
        _REPAIR,
        _numbered,
        by_transactions,
    ),
    Check("reversals", "Every reversal mirrors what it reverses", _REPAIR, _mirrored),
)
