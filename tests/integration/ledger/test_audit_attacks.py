"""The owner of the database turns its triggers off and changes something: the check that is meant to find it does."""

from __future__ import annotations

import pytest

from ledger.keys.rotation import prepare_next_key, rotate
from ledger.models import Account, Asset
from tests.audits import audit, findings, found_by, tamper
from tests.conftest import DatabaseUrls
from tests.integration.ledger.audited import Audited
from tests.integration.ledger.logbook import NOW, Forger

OF_PAYMENT = "WHERE transaction_id = {payment} AND leg = 2"  # Bob's money
OF_HOLD = "WHERE transaction_id = {held}"
PAYMENT, BATCH, ADA, BOB, HELD = "transaction {payment}", "batch {batch}", "account {ada}", "account {bob}", "{held}"
OLDEST = "WHERE size = (SELECT min(size) FROM ledger_checkpoint)"
HUGE = 2**63 - 1

# What is done, and every check that finds something with the subjects that it must name.
ATTACKS: dict[str, tuple[str, dict[str, list[str]]]] = {
    "an amount": (
        f"UPDATE ledger_entry SET amount = amount - 1 {OF_PAYMENT}",
        {"zero_sum": [PAYMENT], "entry_chain": [BOB], "leaves": [PAYMENT]},
    ),
    "two amounts that still sum to zero": (
        "UPDATE ledger_entry SET amount = amount * 2 WHERE transaction_id = {payment} AND leg IN (1, 2)",
        {"entry_chain": [ADA, BOB], "leaves": [PAYMENT]},
    ),
    "a running balance": (
        f"UPDATE ledger_entry SET balance_after = balance_after + 5 {OF_PAYMENT}",
        {"entry_chain": [BOB, BOB], "leaves": [PAYMENT]},
    ),
    "a running balance whose 32-bit halves fold to the same": (
        f"UPDATE ledger_entry SET balance_after = balance_after # ((1::bigint << 32) | 1) {OF_PAYMENT}",
        {"entry_chain": [BOB, BOB], "leaves": [PAYMENT]},
    ),
    "a whole account's money, from its first entry to its last": (
        "UPDATE ledger_entry SET balance_after = balance_after + 1 WHERE account_id = {bob}",
        {
            "entry_chain": [BOB],
            "stored_balances": [BOB],
            "leaves": ["transaction 3", "transaction 5", PAYMENT, "transaction 7", "transaction 9", "transaction 15"],
            "period_seals": ["seal 2026-12-01"],
        },
    ),
    "an account's sequence": (
        f"UPDATE ledger_entry SET account_seq = 1000 {OF_PAYMENT}",
        {
            "entry_chain": [BOB, BOB],
            "stored_balances": [BOB],
            "leaves": [PAYMENT],
            "period_seals": ["seal 2026-12-01"],
        },
    ),
    "an entry's asset": (
        f"UPDATE ledger_entry SET asset_id = {{contract}} {OF_PAYMENT}",
        {"zero_sum": [PAYMENT, PAYMENT], "entry_chain": [BOB], "leaves": [PAYMENT]},
    ),
    "an entry's account": (
        f"UPDATE ledger_entry SET account_id = 999 {OF_PAYMENT}",
        {"entry_chain": [BOB, "account 999"], "leaves": [PAYMENT], "period_seals": ["seal 2026-12-01"]},
    ),
    "a leg's number": (
        "UPDATE ledger_entry SET leg = 9 WHERE transaction_id = {payment} AND leg = 4",
        {"numbering": [PAYMENT], "leaves": [PAYMENT]},
    ),
    "an entry's ref": (f"UPDATE ledger_entry SET ref = 'other' {OF_PAYMENT}", {"leaves": [PAYMENT]}),
    "an entry that is deleted": (
        f"DELETE FROM ledger_entry {OF_PAYMENT}",
        {"zero_sum": [PAYMENT], "numbering": [PAYMENT], "entry_chain": [BOB], "leaves": [PAYMENT]},
    ),
    "an account's last entry that is deleted": (
        "DELETE FROM ledger_entry WHERE transaction_id = 15 AND account_id = {bob}",
        {
            "zero_sum": ["transaction 15"],
            "numbering": ["transaction 15"],
            "stored_balances": [BOB],
            "leaves": ["transaction 15"],
            "period_seals": ["seal 2026-12-01"],
        },
    ),
    "a whole transaction that is deleted": (
        "WITH gone AS (DELETE FROM ledger_entry WHERE transaction_id = {payment})"
        " DELETE FROM ledger_transaction WHERE id = {payment}",
        {
            "entry_chain": [ADA, BOB, "account 5", "account {tokens}"],
            "transaction_numbers": ["transaction 7"],
            "batch_roots": [BATCH],
        },
    ),
    "entries of a transaction that is not there": (
        "INSERT INTO ledger_entry VALUES ({ada}, 6, 999, 1, {currency}, 5, 999605, ''),"
        " ({bob}, 7, 999, 2, {currency}, -5, 990395, '')",
        {"numbering": ["transaction 999"], "stored_balances": [ADA, BOB]},
    ),
    "figures that fit no sum": (
        f"UPDATE ledger_entry SET amount = {HUGE}, balance_after = -{HUGE} - 1 {OF_PAYMENT}",
        {"zero_sum": [PAYMENT], "entry_chain": [BOB, BOB], "leaves": [PAYMENT]},
    ),
    "a stored balance": (
        "UPDATE ledger_account SET balance = balance + 7 WHERE id = {ada}",
        {"stored_balances": [ADA], "asset_totals": ["asset {currency}"]},
    ),
    "a stored held amount": (
        "UPDATE ledger_account SET held = held + 7 WHERE id = {ada}",
        {"stored_balances": [ADA], "holds": [ADA]},
    ),
    "stored sequences": (
        "UPDATE ledger_account SET seq = seq + 1, hold_seq = hold_seq + 1 WHERE id = {ada}",
        {"stored_balances": [ADA]},
    ),
    "stored figures that fit no sum": (
        f"UPDATE ledger_account SET balance = {HUGE}, seq = {HUGE}, hold_seq = {HUGE} WHERE id IN ({{ada}}, {{bob}})",
        {"stored_balances": [ADA, BOB], "asset_totals": ["asset {currency}"]},
    ),
    "a floor with its change on record": (
        "UPDATE ledger_account SET floor = -100 WHERE role = 'obligation'",
        {"account_changes": ["account 5"]},
    ),
    "a floor that never changed": (
        "UPDATE ledger_account SET floor = 1 WHERE id = {bob}",
        {"account_changes": [BOB]},
    ),
    "a frozen account": ("UPDATE ledger_account SET frozen = true WHERE id = {bob}", {"account_changes": [BOB]}),
    "a change that is taken off the record": (
        "DELETE FROM ledger_accountchange WHERE what = 'flags' AND after LIKE 'frozen=f%%'",
        {"account_changes": ["account 4"]},
    ),
    "a change that says something else": (
        "UPDATE ledger_accountchange SET before = '-3' WHERE what = 'floor'",
        {"account_changes": ["account 5"]},
    ),
    "an outside world of one's own": (
        "UPDATE ledger_account SET role = 'external', qualifier = 'mine' WHERE id = {bob}",
        {"account_roles": [BOB], "account_changes": [BOB], "transfers": ["transfer 2", "transfer 4"]},
    ),
    "an account that is deleted": (
        "DELETE FROM ledger_account WHERE id = {bob}",
        {
            "entry_chain": [BOB] * 6,
            "hold_chain": [BOB] * 2,
            "asset_totals": ["asset {currency}"],
            "transfers": ["transfer 2", "transfer 4"],
            "period_seals": ["seal 2026-12-01"],
        },
    ),
    "a hold's amount": (
        f"UPDATE ledger_holdentry SET delta = delta - 1 {OF_HOLD}",
        {"hold_chain": [ADA], "leaves": [f"transaction {HELD}"]},
    ),
    "what was held after it": (
        f"UPDATE ledger_holdentry SET held_after = held_after + 1 {OF_HOLD}",
        {"hold_chain": [ADA, ADA], "leaves": [f"transaction {HELD}"]},
    ),
    "what a hold is for": (f"UPDATE ledger_holdentry SET ref = 'x' {OF_HOLD}", {"leaves": [f"transaction {HELD}"]}),
    "a hold's place": (
        f"UPDATE ledger_holdentry SET position = 4 {OF_HOLD}",
        {"numbering": [f"transaction {HELD}"], "leaves": [f"transaction {HELD}"]},
    ),
    "a hold that is deleted": (
        f"DELETE FROM ledger_holdentry {OF_HOLD}",
        {"hold_chain": [ADA], "leaves": [f"transaction {HELD}"]},
    ),
    "a withdrawal that waits": (
        "UPDATE ledger_transfer SET micros = micros + 1 WHERE kind = 'withdrawal' AND state = 'requested'",
        {"holds": [ADA]},
    ),
    "a deposit": (
        "UPDATE ledger_transfer SET micros = micros + 1 WHERE payment_reference = 'bounces' AND kind = 'deposit'",
        {"transfers": ["transfer 7"]},
    ),
    "a withdrawal that nobody asked for": (
        "DELETE FROM ledger_transfer WHERE kind = 'withdrawal' AND state = 'posted'",
        {"transfers": ["transaction 9"]},
    ),
    "a kind": ("UPDATE ledger_transaction SET kind = 'gift' WHERE id = {payment}", {"leaves": [PAYMENT]}),
    "a reference": ("UPDATE ledger_transaction SET reference = 'x' WHERE id = {payment}", {"leaves": [PAYMENT]}),
    "an effective date": (
        "UPDATE ledger_transaction SET effective_at = effective_at + interval '1 microsecond' WHERE id = {payment}",
        {"leaves": [PAYMENT]},
    ),
    "an actor": (
        "UPDATE ledger_transaction SET actor = 'x' WHERE id = {payment}",
        {"transaction_numbers": [PAYMENT], "leaves": [PAYMENT]},
    ),
    "a number of legs": (
        "UPDATE ledger_transaction SET legs = 3 WHERE id = {payment}",
        {"numbering": [PAYMENT], "leaves": [PAYMENT]},
    ),
    "what it reverses": (
        "UPDATE ledger_transaction SET reverses = 2 WHERE id = {payment}",
        {"reversals": [PAYMENT], "leaves": [PAYMENT]},
    ),
    "its batch": (
        "UPDATE ledger_transaction SET batch_no = 1 WHERE id = {payment}",
        {"transaction_numbers": [PAYMENT]},
    ),
    "a leaf": (
        "UPDATE ledger_transaction SET leaf = sha256('x') WHERE id = {payment}",
        {"leaves": [PAYMENT], "batch_roots": [BATCH]},
    ),
    "a root": (
        "UPDATE ledger_batch SET root = sha256('x') WHERE no = {batch}",
        {"batch_chain": [BATCH], "batch_roots": [BATCH]},
    ),
    "a link": ("UPDATE ledger_batch SET previous = sha256('x') WHERE no = {batch}", {"batch_chain": [BATCH]}),
    "a batch's actor": (
        "UPDATE ledger_batch SET actor = 'x' WHERE no = {batch}",
        {"transaction_numbers": ["transaction 5", PAYMENT, "transaction 7"]},
    ),
    "a batch's range": (
        "UPDATE ledger_batch SET last_transaction = 8, count = 4 WHERE no = {batch}",
        {"batch_chain": [BATCH, "batch 6"], "batch_roots": [BATCH]},
    ),
    "a batch that is deleted": (
        "DELETE FROM ledger_batch WHERE no = {batch}",
        {
            "transaction_numbers": ["transaction 5", PAYMENT, "transaction 7"],
            "batch_chain": ["batch 6"],
            "log_nodes": ["log"],
            "checkpoints": ["checkpoint 12", "checkpoint 14"],
        },
    ),
    "the head": ("UPDATE ledger_ledgerhead SET last_transaction = 2", {"head": ["ledger head"]}),
    "the head's hash": ("UPDATE ledger_ledgerhead SET last_batch_hash = sha256('x')", {"head": ["ledger head"]}),
    "a head that is gone": ("DELETE FROM ledger_ledgerhead", {"head": ["ledger head"]}),
    "a node of the log": (
        "UPDATE ledger_lognode SET hash = sha256('x') WHERE level = 1 AND position = 1",
        {"log_nodes": ["log node 1/1"]},
    ),
    "a node that is gone": (
        "DELETE FROM ledger_lognode WHERE level = 2 AND position = 0",
        {"log_nodes": ["log node 2/0"]},
    ),
    "a node of no batch": ("INSERT INTO ledger_lognode VALUES (9, 0, sha256('x'))", {"log_nodes": ["log"]}),
    "a checkpoint's root": (
        f"UPDATE ledger_checkpoint SET root = sha256('x') {OLDEST}",
        {"checkpoints": ["checkpoint 12", "checkpoint 12"]},
    ),
    "a checkpoint's note": (
        f"UPDATE ledger_checkpoint SET note = (SELECT max(note) FROM ledger_checkpoint WHERE size = 14) {OLDEST}",
        {"checkpoints": ["checkpoint 12"]},
    ),
    "a checkpoint that is no note": (
        f"UPDATE ledger_checkpoint SET note = 'signed, the house' {OLDEST}",
        {"checkpoints": ["checkpoint 12"]},
    ),
    "a checkpoint over batches to come": (
        "UPDATE ledger_checkpoint SET size = 114 WHERE size = 14",
        {"checkpoints": ["checkpoint 114"]},
    ),
    "the public key": (
        "UPDATE ledger_signingkey SET public_jwk ="
        " jsonb_set(public_jwk, '{{x}}', '\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"')",
        {"checkpoints": ["checkpoint 12", "checkpoint 14"]},
    ),
    "a seal's root": (
        "UPDATE ledger_periodseal SET root = sha256('x')",
        {"period_seals": ["seal 2026-12-01", "seal 2026-12-01"]},
    ),
    "a seal's end": (
        "UPDATE ledger_periodseal SET through_transaction = 14",
        {"period_seals": ["seal 2026-12-01", "seal 2026-12-01"]},
    ),
    "a seal that is deleted": ("DELETE FROM ledger_periodseal", {"period_seals": ["transaction 16"]}),
}


@pytest.mark.parametrize("what", ATTACKS)
def test_what_is_changed_is_found_where_it_was_changed(database: DatabaseUrls, what: str) -> None:
    audited = Audited.build()
    assert findings(audit()) == {}
    names = {
        "payment": audited.payment,
        "batch": audited.batch,
        "ada": audited.ada,
        "bob": audited.bob,
        "tokens": audited.tokens,
        "held": audited.held,
        "currency": audited.book.currency,
        "contract": Asset.objects.get(kind="contract").id,
    }
    statement, expected = ATTACKS[what]
    tamper(database, statement.format(**names))
    assert found_by(audit()) == {
        check: [subject.format(**names) for subject in subjects] for check, subjects in expected.items()
    }


def test_a_changed_leg_with_leaf_and_root_made_to_fit_is_found_in_the_chain(database: DatabaseUrls) -> None:
    audited = Audited.build()
    with Forger(database) as forger:
        batch = forger.rewrite_ref(audited.payment, "nothing happened")
    assert found_by(audit()) == {"batch_chain": [f"batch {batch}"]}


def test_a_history_rewritten_to_the_last_hash_is_found_by_the_checkpoints_alone(database: DatabaseUrls) -> None:
    audited = Audited.build()
    with Forger(database) as forger:
        batch = forger.rewrite_ref(audited.payment, "nothing happened")
        forger.chain_again(batch)
        forger.grow_tree_again()
    assert found_by(audit()) == {"checkpoints": ["checkpoint 12", "checkpoint 14"]}


def test_a_checkpoint_signed_by_a_key_of_another_time_is_found(database: DatabaseUrls) -> None:
    audited = Audited.build()
    prepare_next_key(actor="op", now=NOW)
    rotate(actor="op", now=NOW)
    audited.pay(10)
    newest = audited.book.publish().size
    assert findings(audit()) == {}
    kids = "(SELECT kid FROM ledger_signingkey WHERE state = 'current')"
    tamper(database, f"UPDATE ledger_transaction SET batch_no = 9999 WHERE reference = {kids} || '/current'")
    assert found_by(audit("checkpoints")) == {"checkpoints": [f"checkpoint {newest}"]}


def test_a_thousand_findings_are_counted_and_the_first_hundred_told(database: DatabaseUrls) -> None:
    Audited.build()
    tamper(
        database,
        "INSERT INTO ledger_account (party_id, asset_id, role, qualifier, balance, held, seq, hold_seq, floor, frozen,"
        " closed) SELECT party_id, asset_id, role, 'made ' || n, 1, 0, 0, 0, 0, false, false"
        " FROM ledger_account, generate_series(1, 1000) AS n WHERE role = 'entitlement'",
    )
    (check,) = audit("stored_balances").checks
    assert (check.outcome.found, len(check.outcome.findings)) == (1_000, 100)
    made = list(Account.objects.filter(qualifier__startswith="made").order_by("id").values_list("id", flat=True)[:100])
    assert [finding.subject for finding in check.outcome.findings] == [f"account {number}" for number in made]
