"""The posting door moves into the database, and evidence takes its second form.

Nothing of the first form was ever published, so what is there is sealed anew: leaves, roots and chain, and posting times
that never fall. Holds that stand become one hold entry an account, under transaction 0.
"""

from __future__ import annotations

from django.db import migrations

from ledger.leaf import GENESIS, batch_record, encode_leaf, encode_leg
from ledger.merkle import leaf_hash, tree_root
from ledger.sql import SQL_FOLDER, run_sql_file

TABLES = ("ledger_transaction", "ledger_batch")


def seal_anew(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ledger_holdentry (account_id, hold_seq, transaction_id, position, delta, held_after, ref)"
            " SELECT id, 1, 0, 1, held, held, 'opening' FROM ledger_account WHERE held <> 0"
        )
        cursor.execute("UPDATE ledger_account SET hold_seq = 1 WHERE held <> 0")
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
        cursor.execute("SELECT no, first_transaction, last_transaction, posted_at FROM ledger_batch ORDER BY no")
        previous = GENESIS
        posted_at = None
        for no, first, last, at in cursor.fetchall():
            posted_at = max(at, posted_at or at)
            previous = _seal_batch(cursor, no, first, last, posted_at, previous)
        if previous != GENESIS:  # the trigger on the head wants to see a new version
            cursor.execute(
                "UPDATE ledger_ledgerhead SET last_batch_hash = %s, version = version + 1,"
                " last_posted_at = %s",
                [previous, posted_at],
            )
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")


def _seal_batch(cursor, no, first, last, posted_at, previous):
    items = {number: [] for number in range(first, last + 1)}
    cursor.execute(
        "SELECT transaction_id, leg, account_id, asset_id, amount, account_seq, balance_after, ref FROM ledger_entry"
        " WHERE transaction_id BETWEEN %s AND %s ORDER BY transaction_id, leg",
        [first, last],
    )
    for number, *leg in cursor.fetchall():
        items[number].append(leaf_hash(encode_leg(*leg)))
    cursor.execute(
        "SELECT id, kind, source, reference, actor, request_hash, effective_at, reverses, legs"
        " FROM ledger_transaction WHERE id BETWEEN %s AND %s ORDER BY id",
        [first, last],
    )
    leaves = [
        leaf_hash(
            encode_leaf(
                transaction_id=number,
                kind=kind,
                source=source,
                reference=reference,
                actor=actor,
                request_hash=bytes(request_hash),
                effective_at=effective_at,
                posted_at=posted_at,
                reverses=reverses,
                legs=legs,
                holds=0,
                items_root=tree_root(items[number]),
            )
        )
        for number, kind, source, reference, actor, request_hash, effective_at, reverses, legs in cursor.fetchall()
    ]
    cursor.execute(
        "UPDATE ledger_transaction AS posted SET leaf = sealed.leaf, posted_at = %s"
        " FROM unnest(%s::bigint[], %s::bytea[]) AS sealed(id, leaf) WHERE posted.id = sealed.id",
        [posted_at, list(range(first, last + 1)), leaves],
    )
    root = tree_root(leaves)
    record = batch_record(
        no=no, first_transaction=first, last_transaction=last, posted_at=posted_at, root=root, previous=previous
    )
    cursor.execute(
        "UPDATE ledger_batch SET root = %s, previous = %s, hash = %s, posted_at = %s WHERE no = %s",
        [root, previous, leaf_hash(record), posted_at, no],
    )
    return leaf_hash(record)


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_evidence_and_transfers")]
    operations = [
        run_sql_file(SQL_FOLDER, "0004_transfers"),
        migrations.RunPython(seal_anew, migrations.RunPython.noop),
        run_sql_file(SQL_FOLDER, "0004_posting"),
        run_sql_file(SQL_FOLDER, "0004_keys_and_log"),
    ]
