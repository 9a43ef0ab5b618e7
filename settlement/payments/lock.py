"""One payments act at a time: nettings, instructions, files, confirmations, waterfalls and invoices are few."""

from __future__ import annotations

from django.db import connection

PAYMENTS_LOCK = 0x746B_0004  # any number that nothing else in this database locks


def lock_payments() -> None:
    """Wait for one's turn until the caller's transaction ends. Comes before any row and before the ledger's head."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PAYMENTS_LOCK])
