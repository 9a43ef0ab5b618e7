"""The ledger's tables in the admin: identity, keys, accounts, journal, action log. Imported by Django at start-up."""

from ledger.admin import identity, records

__all__ = ["identity", "records"]
