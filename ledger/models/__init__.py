"""Rows of the ledger: columns and constraints only. What changes them lives in the posting door and in commands."""

from ledger.models.accounts import Account, AccountChange, Asset, LedgerHead
from ledger.models.actions import ActionLog
from ledger.models.clock import SimulatedClock
from ledger.models.idempotency import IdempotentRequest
from ledger.models.journal import Batch, Entry, Transaction
from ledger.models.keys import SigningKey
from ledger.models.parties import ApiKey, Membership, MembershipRole, Party, PartyKind, User

__all__ = [
    "Account",
    "AccountChange",
    "ActionLog",
    "ApiKey",
    "Asset",
    "Batch",
    "Entry",
    "IdempotentRequest",
    "LedgerHead",
    "Membership",
    "MembershipRole",
    "Party",
    "PartyKind",
    "SigningKey",
    "SimulatedClock",
    "Transaction",
    "User",
]
