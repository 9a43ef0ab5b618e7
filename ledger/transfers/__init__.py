"""Money in and out of the market, in two phases: one person asks, another decides, and only then it is posted."""

from ledger.transfers.decisions import approve_transfer, refuse_transfer
from ledger.transfers.requests import request_deposit, request_reversal, request_withdrawal

__all__ = ["approve_transfer", "refuse_transfer", "request_deposit", "request_reversal", "request_withdrawal"]
