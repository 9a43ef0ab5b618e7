"""What takes two operators, for tests: one asks, another approves, as the product wants it."""

from __future__ import annotations

from datetime import datetime

from exchange.commands.decide_request import approve_decision
from exchange.commands.request_decision import RequestDecision, request_decision
from exchange.models import DecisionKind
from ledger.models import Transfer
from ledger.transfers import approve_transfer, request_deposit, request_withdrawal

FIRST, SECOND = "first operator", "second operator"


def decide(kind: DecisionKind, subject: str, *, now: datetime) -> list[int]:
    """The commands that carry out a decision, asked for and approved."""
    asked = request_decision(RequestDecision(kind, subject, "tests"), actor=FIRST, now=now)
    return list(approve_decision(asked.pk, actor=SECOND, now=now).seqs)


def deposit(
    party_id: int, currency_id: int, micros: int, *, reference: str, now: datetime, actor: str = FIRST
) -> Transfer:
    """A deposit, asked for and approved."""
    asked = request_deposit(party_id, currency_id, micros, reference=reference, actor=actor, now=now)
    return approve_transfer(asked.pk, actor=SECOND, now=now)


def withdraw(
    party_id: int, currency_id: int, micros: int, *, reference: str, now: datetime, actor: str = FIRST
) -> Transfer:
    """A withdrawal, asked for and approved."""
    asked = request_withdrawal(party_id, currency_id, micros, reference=reference, actor=actor, now=now)
    return approve_transfer(asked.pk, actor=SECOND, now=now)
