"""Transaction numbers, the batches that hold them, the chain of batches, and the head that ends it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from operator import itemgetter

from psycopg import sql

from ledger.audit.checks.leaves import microseconds, root_over
from ledger.audit.findings import Finding, Looked, looked
from ledger.audit.layout import Span
from ledger.audit.registry import Check, by_batches, by_transactions
from ledger.audit.snapshot import View

_COUNTED = """
    SELECT count(*), coalesce(min(id) - 1, 0), coalesce(max(id), 0),
           coalesce((SELECT max(id) FROM ledger_transaction WHERE id < %(first)s), 0)
      FROM ledger_transaction WHERE id BETWEEN %(first)s AND %(last)s
"""
_GAPS = """
    SELECT id, before FROM (
        SELECT id, coalesce(lag(id) OVER (ORDER BY id), %(before)s::bigint) AS before
          FROM ledger_transaction WHERE id BETWEEN %(first)s AND %(last)s) AS numbered
     WHERE before <> id - 1 ORDER BY id
"""
_MISPLACED = """
    SELECT posted.id, batch_no, batch.no, batch.first_transaction, batch.last_transaction,
           posted.actor = batch.actor AND posted.posted_at = batch.posted_at
      FROM ledger_transaction AS posted LEFT JOIN ledger_batch AS batch ON batch.no = posted.batch_no
     WHERE posted.id BETWEEN %(first)s AND %(last)s
       AND (batch.no IS NULL OR posted.id < batch.first_transaction OR posted.id > batch.last_transaction
            OR posted.actor <> batch.actor OR posted.posted_at <> batch.posted_at)
"""
_UNLINKED = sql.SQL(
    """
    WITH linked AS (
        SELECT batch.*, before.no AS no_before, before.last_transaction AS last_before, before.hash AS hash_before,
               batch.posted_at >= before.posted_at AS later,
               sha256('\\x0002' || int8send(batch.no) || int8send(batch.first_transaction)
                      || int8send(batch.last_transaction) || {posted_at} || batch.root
                      || batch.previous) AS true_hash
          FROM ledger_batch AS batch
          LEFT JOIN ledger_batch AS before ON before.no = batch.no - 1
         WHERE batch.no BETWEEN %(first)s AND %(last)s
    )
    SELECT no, first_transaction, last_transaction, "count", no_before, last_before,
           previous = coalesce(hash_before, decode(repeat('00', 32), 'hex')), hash = true_hash, coalesce(later, true)
      FROM linked
     WHERE hash <> true_hash OR NOT later OR "count" <> last_transaction - first_transaction + 1 OR "count" < 1
        OR (no_before IS NULL AND (no <> 1 OR first_transaction <> 1))
        OR first_transaction <> last_before + 1
        OR previous <> coalesce(hash_before, decode(repeat('00', 32), 'hex'))
     ORDER BY no
"""
).format(posted_at=microseconds("batch", "posted_at"))
_ROOTS = """
    SELECT no, root, coalesce((SELECT string_agg(leaf, '' ORDER BY id) FROM ledger_transaction
                                WHERE id BETWEEN first_transaction AND last_transaction), '')
      FROM ledger_batch WHERE no BETWEEN %(first)s AND %(last)s ORDER BY no
"""
_HEAD = """
    SELECT head.last_transaction, head.last_batch, head.last_batch_hash,
           coalesce((SELECT max(id) FROM ledger_transaction), 0), coalesce(last.no, 0),
           coalesce(last.last_transaction, 0), coalesce(last.hash, decode(repeat('00', 32), 'hex')),
           NOT head.entered AND head.last_posted_at = coalesce(last.posted_at, head.last_posted_at)
      FROM ledger_ledgerhead AS head
      LEFT JOIN (SELECT * FROM ledger_batch ORDER BY no DESC LIMIT 1) AS last ON true
"""


def _numbers(view: View, span: Span) -> Looked:
    ((rows, low, high, before),) = view.rows(_COUNTED, asdict(span))

    def findings() -> Iterator[Finding]:
        if rows and (low != before or high - low != rows):
            for number, last in view.rows(_GAPS, asdict(span) | {"before": before}):
                yield Finding(f"transaction {number}", f"it follows number {last}")
        for number, *place in sorted(view.rows(_MISPLACED, asdict(span)), key=itemgetter(0)):
            yield Finding(f"transaction {number}", _misplaced(*place))

    return looked(rows, findings())


def _misplaced(named: int, batch: int | None, first: int | None, last: int | None, agrees: bool | None) -> str:
    if batch is None:
        return f"its batch {named} does not exist"
    if agrees is False:
        return f"its actor or time is not that of its batch {named}"
    return f"it names batch {named}, which holds transactions {first} to {last}"


def _chain(view: View, span: Span) -> Looked:
    ((rows,),) = view.rows("SELECT count(*) FROM ledger_batch WHERE no BETWEEN %(first)s AND %(last)s", asdict(span))
    return view.look(_UNLINKED, asdict(span), _tell_link, rows=rows)


def _tell_link(
    no: int,
    first: int,
    last: int,
    count: int,
    no_before: int | None,
    last_before: int | None,
    follows: bool,
    hashes: bool,
    later: bool,
) -> Finding:
    subject = f"batch {no}"
    if not hashes:
        return Finding(subject, "its record does not give its hash")
    if no_before is None and no != 1:
        return Finding(subject, f"batch {no - 1} is missing")
    if not follows:
        return Finding(subject, "it does not name the hash of the batch before it")
    if not later:
        return Finding(subject, "it was posted before the batch before it")
    if first != (last_before or 0) + 1:
        return Finding(subject, f"it begins with transaction {first}, the batch before it ends with {last_before or 0}")
    return Finding(subject, f"it counts {count} transactions from {first} to {last}")


def _roots(view: View, span: Span) -> Looked:
    def findings() -> Iterator[Finding]:
        for no, root, leaves in view.stream(_ROOTS, asdict(span)):
            found = root_over(leaves)
            if found != root:
                told = f"the leaves of its transactions give the root {found.hex()}, recorded is {root.hex()}"
                yield Finding(f"batch {no}", told)

    return looked(span.rows, findings())


def _head(view: View, _span: Span) -> Looked:
    heads = view.rows(_HEAD)

    def findings() -> Iterator[Finding]:
        if not heads:
            yield Finding("ledger head", "it is missing")
        for transaction, batch, hash_, last, last_batch, last_of_batch, last_hash, at_rest in heads:
            if not at_rest:
                yield Finding("ledger head", "its posting time is not the last batch's, or it waits for a seal")
            if transaction != last:
                yield Finding("ledger head", f"it ends with transaction {transaction}, the journal with {last}")
            if last_of_batch != last:
                yield Finding(f"batch {last_batch}", f"the last one ends with {last_of_batch}, the journal with {last}")
            if (batch, hash_) != (last_batch, last_hash):
                yield Finding("ledger head", f"it names batch {batch}, the last one is {last_batch} with another hash")
            if transaction < view.base.transaction or batch < view.base.batch:
                ended = f"transaction {view.base.transaction} and batch {view.base.batch}"
                yield Finding("ledger head", f"the last clean audit saw {ended}; what came last is gone")

    return looked(len(heads), findings())


_REPAIR = (
    "The chain of batches was changed after it was sealed. Take the newest checkpoint that somebody else has kept and"
    " prove it to be the beginning of today's log; compare with an export or backup."
)

CHECKS = (
    Check(
        "transaction_numbers",
        "Transactions are numbered without a gap, and each is in the one batch that it names",
        _REPAIR,
        _numbers,
        by_transactions,
    ),
    Check(
        "batch_chain",
        "Every batch follows the one before it by number, transactions and hash, and its record gives its hash",
        _REPAIR,
        _chain,
        by_batches,
    ),
    Check("batch_roots", "Every batch's root is that of its transactions' leaves", _REPAIR, _roots, by_batches),
    Check("head", "The ledger's head is the end of its journal and of its chain of batches", _REPAIR, _head),
)
