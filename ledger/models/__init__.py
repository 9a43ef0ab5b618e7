"""Rows of the ledger: columns and constraints only. What changes them lives in the posting door and in commands."""

from ledger.models.accounts import Account, AccountChange, Asset, LedgerHead
from ledger.models.actions import ActionLog
from ledger.models.clock import SimulatedClock
from ledger.models.idempotency import IdempotentRequest
from ledger.models.journal import Batch, Entry, HoldEntry, Transaction
from ledger.models.keys import SigningKey
from ledger.models.log import AuditRun, AuditScope, Checkpoint, LogNode, PeriodSeal
from ledger.models.parties import ApiKey, Membership, MembershipRole, Party, PartyKind, User
from ledger.models.transfers import Transfer, TransferKind, TransferState

__all__ = [
    "Account",
    "AccountChange",
    "ActionLog",
    "ApiKey",
    "Asset",
    "AuditRun",
    "AuditScope",
    "Batch",
    "Checkpoint",
    "Entry",
    "HoldEntry",
    "IdempotentRequest",
    "LedgerHead",
    "LogNode",
    "Membership",
    "MembershipRole",
    "Party",
    "PartyKind",
    "PeriodSeal",
    "SigningKey",
    "SimulatedClock",
    "Transaction",
    "Transfer",
    "TransferKind",
    "TransferState",
    "User",
]
