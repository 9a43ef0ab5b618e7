"""A database of the first release is taken over: holds get their evidence, leaves and chain their second form."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
from django.core.management import call_command

from ledger.audit.run import run_audit
from ledger.models import Account, AuditScope, Batch, HoldEntry, LedgerHead, Transfer
from tests.conftest import DatabaseUrls

FIRST_RELEASE = """
INSERT INTO ledger_party (code, name, kind, created_at)
VALUES ('house', 'House', 'house', now()), ('ada', 'Ada', 'buyer', now());
INSERT INTO ledger_asset (code, kind, scale) VALUES ('CNY', 'currency', 6);
INSERT INTO ledger_account (party_id, asset_id, role, qualifier, balance, held, seq, floor, frozen, closed)
VALUES (1, 1, 'external', '', 0, 0, 0, NULL, false, false), (2, 1, 'cash', '', 0, 0, 0, 0, false, false);
INSERT INTO ledger_transaction (id, batch_no, kind, source, reference, request_hash, actor, effective_at, posted_at,
                                legs, reverses, leaf)
VALUES (1, 1, 'deposit', 'treasury', 'deposit/2/wire-1', sha256('1'), 'op', now(), now(), 2, NULL, sha256('a')),
       (2, 2, 'hold', 'test', 'h1', sha256('2'), 'op', now(), now(), 0, NULL, sha256('b'));
INSERT INTO ledger_entry (account_id, account_seq, transaction_id, leg, asset_id, amount, balance_after, ref)
VALUES (1, 1, 1, 1, 1, -100, -100, 'wire-1'), (2, 1, 1, 2, 1, 100, 100, 'wire-1');
INSERT INTO ledger_batch (no, first_transaction, last_transaction, count, root, previous, hash, actor, posted_at)
VALUES (1, 1, 1, 1, sha256('r1'), decode(repeat('00', 32), 'hex'), sha256('b1'), 'op', now()),
       (2, 2, 2, 1, sha256('r2'), sha256('b1'), sha256('b2'), 'op', now());
SELECT ledger_change_held(ARRAY[2]::bigint[], ARRAY[30]::bigint[]);
UPDATE ledger_ledgerhead SET version = version + 1, last_transaction = 1, last_batch = 1;
UPDATE ledger_ledgerhead
   SET version = version + 1, last_transaction = 2, last_batch = 2, last_batch_hash = sha256('b2');
"""


def test_a_first_release_is_taken_over_whole(empty_database: DatabaseUrls) -> None:
    call_command("migrate", "ledger", "0002_database_defences", database="owner", verbosity=0)
    with psycopg.connect(empty_database.owner_url) as owner:
        owner.execute(FIRST_RELEASE)
    call_command("migrate", database="owner", verbosity=0)
    cash = Account.objects.get(role="cash")
    assert (cash.balance, cash.held, cash.hold_seq) == (100, 30, 1)
    opening = HoldEntry.objects.get()
    assert (opening.transaction_id, opening.delta, opening.held_after, opening.ref) == (0, 30, 30, "opening")
    first, second = Batch.objects.order_by("no")
    assert bytes(second.previous) == bytes(first.hash)
    assert bytes(LedgerHead.objects.get().last_batch_hash) == bytes(second.hash)
    transfer = Transfer.objects.get()
    assert (transfer.payment_reference, transfer.micros, transfer.transaction_id) == ("wire-1", 100, 1)
    report = run_audit(AuditScope.FULL, actor="test", clock=FixedClock())
    found = [(check.name, finding) for check in report.checks for finding in check.outcome.findings]
    assert [(name, finding.subject) for name, finding in found] == [("holds", "account 2")]


class FixedClock:
    """Any time will do."""

    def now(self) -> datetime:
        return datetime(2026, 12, 2, tzinfo=UTC)
