"""Money in and out of the market: an operator's deposits and withdrawals, through the posting door."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from ledger import journal
from ledger.actions import record_action
from ledger.chart import AccountKey, Role
from ledger.drafts import Leg, TransactionDraft
from ledger.errors import InvalidAmount
from ledger.models import Transaction
from ledger.money import MAX_AMOUNT, format_micros
from ledger.selectors.parties import get_house_id

SOURCE = "treasury"


def deposit(
    party_id: int, currency_id: int, micros: int, *, reference: str, actor: str, now: datetime
) -> journal.Posted:
    """Credit a party's cash with money that arrived from outside. `reference` is the payment's, and posts once."""
    return _transfer("deposit", party_id, currency_id, micros, reference=reference, actor=actor, now=now)


def withdraw(
    party_id: int, currency_id: int, micros: int, *, reference: str, actor: str, now: datetime
) -> journal.Posted:
    """Pay free cash out. Raises `InsufficientFunds` when it is not free."""
    return _transfer("withdrawal", party_id, currency_id, micros, reference=reference, actor=actor, now=now)


@transaction.atomic
def _transfer(
    kind: str, party_id: int, currency_id: int, micros: int, *, reference: str, actor: str, now: datetime
) -> journal.Posted:
    if not 0 < micros <= MAX_AMOUNT:
        raise InvalidAmount(f"A {kind} must be more than 0.", field="amount")
    if not 0 < len(reference) <= 120:
        raise InvalidAmount("A payment reference has 1 to 120 characters.", field="reference")
    into_cash = micros if kind == "deposit" else -micros
    key = f"{kind}/{party_id}/{reference}"
    first_at = Transaction.objects.filter(source=SOURCE, reference=key).values_list("effective_at", flat=True).first()
    draft = TransactionDraft(
        kind=kind,
        source=SOURCE,
        reference=key,
        effective_at=first_at or now,  # repeated later, it is still the same payment
        legs=(
            Leg(AccountKey(get_house_id(), currency_id, Role.EXTERNAL), -into_cash, reference),
            Leg(AccountKey(party_id, currency_id, Role.CASH), into_cash, reference),
        ),
    )
    (posted,) = journal.post([draft], actor=actor, now=now)
    if not posted.repeated:
        record_action(
            actor=actor, action=kind, subject=f"party:{party_id}", now=now, details={"amount": format_micros(micros)}
        )
    return posted
