"""The ledger's own checks."""

from __future__ import annotations

from ledger.audit.checks import accounts, batches, chains, entries, holds, keys, leaves, log, seals, transfers
from ledger.audit.registry import register_check, register_hold_explanation


def register_ledger_checks() -> None:
    """Register them, in the order in which they are reported; those of other apps follow."""
    for part in (entries, chains, accounts, holds, transfers, batches, leaves, log, keys, seals):
        for check in part.CHECKS:
            register_check(check)
    register_hold_explanation(holds.WITHDRAWALS)
