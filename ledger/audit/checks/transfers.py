"""Deposits, withdrawals and their reversals: what was asked for and approved is what was posted, once each.

What the journal knows of a transfer cannot be changed there unseen, so each row is held against it: who asked for a
withdrawal and who decided, when it was asked for, and the payment's reference. Who asked for a deposit or a reversal
stands in the action log alone.
"""

from __future__ import annotations

from ledger.audit.findings import Finding, Looked, together
from ledger.audit.layout import Span
from ledger.audit.registry import Check
from ledger.audit.snapshot import View
from ledger.chart import Role
from ledger.models import TransferKind, TransferState
from ledger.transfers.postings import SOURCE

# A deposit brings its amount into cash, a withdrawal takes it out, a reversal does the opposite of what it reverses.
_UNLIKE = """
    WITH posted AS (
        SELECT transfer.id, transfer.kind, transfer.transaction_id, transfer.party_id, transfer.currency_id,
               CASE WHEN coalesce(original.kind, transfer.kind) = %(deposit)s THEN transfer.micros
                    ELSE -transfer.micros END * CASE WHEN original.id IS NULL THEN 1 ELSE -1 END AS due,
               original.transaction_id AS reverses
          FROM ledger_transfer AS transfer LEFT JOIN ledger_transfer AS original ON original.id = transfer.reverses_id
         WHERE transfer.state = %(posted)s AND transfer.transaction_id > %(after)s
    ), moved AS (
        SELECT id, kind, reverses FROM ledger_transaction
         WHERE source = %(source)s AND kind = ANY(%(kinds)s) AND id > %(after)s
    )
    SELECT posted.id, moved.id, posted.kind, moved.kind, posted.reverses, moved.reverses, posted.due, cash.moved
      FROM posted FULL JOIN moved ON moved.id = posted.transaction_id
      LEFT JOIN LATERAL (SELECT coalesce(sum(entry.amount), 0)::bigint AS moved
                           FROM ledger_entry AS entry JOIN ledger_account AS account ON account.id = entry.account_id
                          WHERE entry.transaction_id = moved.id AND account.party_id = posted.party_id
                            AND account.asset_id = posted.currency_id AND account.role = %(cash)s) AS cash ON true
     WHERE posted.id IS NULL OR moved.id IS NULL OR moved.kind <> posted.kind
        OR moved.reverses IS DISTINCT FROM posted.reverses OR cash.moved <> posted.due
     ORDER BY 1, 2
"""

# Before a second person approved them, payments were posted as `deposit/<party>/<payment reference>`; what their rows
# say was then taken from the journal (ledger/sql/0004_transfers.sql).
_TOLD_OTHERWISE = """
    WITH known AS (
        SELECT transfer.*, posted.id AS number, posted.reference, posted.actor, posted.effective_at, posted.posted_at,
               coalesce(posted.reference ~ '^(deposit|withdrawal)/[0-9]+/', false) AS one_phase
          FROM ledger_transfer AS transfer LEFT JOIN ledger_transaction AS posted
            ON posted.id = transfer.transaction_id AND transfer.state = %(posted)s
         WHERE transfer.transaction_id > %(after)s OR transfer.state <> %(posted)s
    ), posted AS (
        SELECT known.id, known.number, claim.*
          FROM known
          LEFT JOIN LATERAL (SELECT string_agg(DISTINCT ref, ' and ') AS ref
                               FROM ledger_entry WHERE transaction_id = known.number) AS legs ON true
         CROSS JOIN LATERAL (VALUES
               ('name', CASE WHEN one_phase THEN kind || '/' || party_id || '/' || payment_reference
                                            ELSE 'transfer/' || id END, reference),
               ('payment reference', payment_reference, legs.ref),
               ('asked for by', requested_by, CASE WHEN one_phase THEN actor ELSE requested_by END),
               ('asked for at', requested_at::text, (CASE WHEN one_phase THEN posted_at ELSE effective_at END)::text),
               ('decided by', decided_by, CASE WHEN one_phase THEN left(actor, 60) || ' (before two-phase)'
                                                    ELSE actor END)) AS claim (what, said, posted)
         WHERE known.number IS NOT NULL
    ), held AS (
        SELECT known.id, request.id AS number, claim.*
          FROM known LEFT JOIN ledger_transaction AS request
            ON request.source = %(source)s AND request.reference = 'transfer/' || known.id || '/request'
         CROSS JOIN LATERAL (VALUES
               ('asked for by', known.requested_by, request.actor),
               ('asked for at', known.requested_at::text, request.effective_at::text)) AS claim (what, said, posted)
         WHERE known.kind = %(withdrawal)s AND NOT known.one_phase
    )
    SELECT id, number, what, said, posted FROM (SELECT * FROM posted UNION ALL SELECT * FROM held) AS claim
     WHERE said IS DISTINCT FROM posted
     ORDER BY 1, 2, 3
"""


def _transfers(view: View, _span: Span) -> Looked:
    parameters = {
        "after": view.base.transaction,
        "source": SOURCE,
        "kinds": TransferKind.values,
        "deposit": TransferKind.DEPOSIT.value,
        "withdrawal": TransferKind.WITHDRAWAL.value,
        "posted": TransferState.POSTED.value,
        "cash": Role.CASH.value,
    }
    ((rows,),) = view.rows(
        "SELECT count(*) FROM ledger_transfer WHERE state = %(posted)s AND transaction_id > %(after)s", parameters
    )
    return together(
        [
            view.look(_UNLIKE, parameters, _tell, rows=rows),
            view.look(_TOLD_OTHERWISE, parameters, _tell_otherwise, rows=0),
        ]
    )


def _tell(
    transfer: int | None,
    number: int | None,
    kind: str | None,
    posted_kind: str | None,
    reverses: int | None,
    reversed_one: int | None,
    due: int | None,
    moved: int | None,
) -> Finding:
    if transfer is None:
        return Finding(f"transaction {number}", "it moves money in or out, but no transfer asks for it")
    subject = f"transfer {transfer}"
    if number is None:
        return Finding(subject, "it is posted, but what posted it is not in the journal")
    if kind != posted_kind:
        return Finding(subject, f"it is a {kind}, but transaction {number} posted a {posted_kind}")
    if reverses != reversed_one:
        return Finding(
            subject, f"it takes back transaction {reverses}, but transaction {number} reversed {reversed_one}"
        )
    return Finding(subject, f"it should have moved {due} into the party's cash, but transaction {number} moved {moved}")


def _tell_otherwise(transfer: int, number: int | None, what: str, said: str, posted: str | None) -> Finding:
    subject = f"transfer {transfer}"
    if number is None:
        return Finding(subject, f"its row says {what} {said}, but the journal has no request of it")
    return Finding(subject, f"its row says {what} {said}, but transaction {number} says {posted}")


CHECKS = (
    Check(
        "transfers",
        "Every deposit, withdrawal and reversal that was approved is what was posted, and nothing else was",
        "Compare the transfer with the bank's record, and the journal with an export or backup.",
        _transfers,
    ),
)
