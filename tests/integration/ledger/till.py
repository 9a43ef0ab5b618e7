"""A small house of its own: two parties, a currency, Olga who asks and Otto who decides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import transaction

from ledger import journal
from ledger.chart import AccountKey, Role
from ledger.drafts import Leg, TransactionDraft
from ledger.models import Account, PartyKind, Transfer
from ledger.parties.commands import register_currency, register_party
from ledger.transfers import approve_transfer, request_deposit, request_reversal, request_withdrawal

NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
OLGA, OTTO = "user:olga", "user:otto"


@dataclass(frozen=True, slots=True)
class Till:
    """Ada's cash is what moves; Bob is somebody to pay."""

    house: int
    ada: int
    bob: int
    currency: int

    def cash(self, party: int) -> AccountKey:
        return AccountKey(party, self.currency, Role.CASH)

    def deposit(self, micros: int, reference: str = "wire 1") -> Transfer:
        asked = request_deposit(self.ada, self.currency, micros, reference=reference, actor=OLGA, now=NOW)
        return approve_transfer(asked.pk, actor=OTTO, now=LATER)

    def ask(self, micros: int, reference: str = "out 1") -> Transfer:
        return request_withdrawal(self.ada, self.currency, micros, reference=reference, actor=OLGA, now=NOW)

    def spend(self, micros: int, reference: str = "spent") -> None:
        legs = (Leg(self.cash(self.ada), -micros), Leg(self.cash(self.bob), micros))
        with transaction.atomic():
            journal.post([TransactionDraft("test", "test", reference, NOW, legs)], actor="test", now=NOW)

    def stands(self) -> tuple[int, int]:
        """(balance, held) of Ada's cash."""
        account = Account.objects.filter(party_id=self.ada, role=Role.CASH).first()
        return (0, 0) if account is None else (account.balance, account.held)


def take_back(transfer: Transfer) -> Transfer:
    """A reversal, asked for."""
    return request_reversal(transfer.pk, "It bounced.", actor=OLGA, now=NOW)


def open_till() -> Till:
    """Register all of it in an empty database."""
    house, ada, bob = (
        register_party(code, code, kind, actor="test", now=NOW).pk
        for code, kind in (("house", PartyKind.HOUSE), ("ada", PartyKind.BUYER), ("bob", PartyKind.PROVIDER))
    )
    return Till(house, ada, bob, register_currency("CNY", actor="test", now=NOW).pk)
