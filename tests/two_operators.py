"""Money in and out for tests: one operator asks, another approves, as the product wants it."""

from __future__ import annotations

from datetime import datetime

from ledger.models import Transfer
from ledger.transfers import approve_transfer, request_deposit, request_withdrawal

SECOND = "second operator"


def deposit(
    party_id: int, currency_id: int, micros: int, *, reference: str, now: datetime, actor: str = "first operator"
) -> Transfer:
    """A deposit, asked for and approved."""
    asked = request_deposit(party_id, currency_id, micros, reference=reference, actor=actor, now=now)
    return approve_transfer(asked.pk, actor=SECOND, now=now)


def withdraw(
    party_id: int, currency_id: int, micros: int, *, reference: str, now: datetime, actor: str = "first operator"
) -> Transfer:
    """A withdrawal, asked for and approved."""
    asked = request_withdrawal(party_id, currency_id, micros, reference=reference, actor=actor, now=now)
    return approve_transfer(asked.pk, actor=SECOND, now=now)
