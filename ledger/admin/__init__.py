"""The ledger's tables in the admin: identity, transfers, accounts, journal, action log. Imported by Django at start."""

from ledger.admin import identity, records, treasury

__all__ = ["identity", "records", "treasury"]
