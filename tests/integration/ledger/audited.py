"""A small ledger with something of everything that the audit looks at, and clean."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import transaction

from ledger import journal
from ledger.chart import AccountKey, AssetKind, Role
from ledger.drafts import Leg, TransactionDraft
from ledger.log.seals import seal_period
from ledger.models import Account, Asset, Batch, Transaction
from ledger.restrictions import freeze_account, thaw_account
from ledger.transfers import approve_transfer, refuse_transfer, request_reversal, request_withdrawal
from tests.integration.ledger.logbook import NOW, Logbook
from tests.two_operators import SECOND, deposit, withdraw

OPERATOR = "first operator"
MIDNIGHT = datetime(2026, 12, 2, tzinfo=UTC)
TOKENS = 500


@dataclass(frozen=True, slots=True)
class Audited:
    """The journal's parties and accounts, and the numbers of what tests change."""

    book: Logbook
    ada: int
    bob: int
    tokens: int
    payment: int  # the second transaction of a batch of three, each of four legs
    batch: int
    held: int  # a transaction without legs that holds what Ada wants to withdraw

    @classmethod
    def build(cls) -> Audited:
        book = Logbook()
        contract = Asset.objects.create(code="TOKENS@1H", kind=AssetKind.CONTRACT, scale=0)
        for party in (book.ada, book.bob, book.eve):
            deposit(party, book.currency, 1_000_000, reference="first", now=NOW)
        with transaction.atomic():
            floors = {AccountKey(book.bob, contract.id, Role.OBLIGATION): -TOKENS}
            journal.set_floors(floors, actor="test", reason="capacity", now=NOW)
        drafts = [_payment(book, contract.id, number) for number in range(3)]
        _, payment, _ = book.post(*drafts)
        withdraw(book.bob, book.currency, 10_000, reference="out", now=NOW)
        request_withdrawal(book.ada, book.currency, 20_000, reference="later", actor=OPERATOR, now=NOW)
        (held,) = Transaction.objects.filter(kind="withdrawal_request").order_by("-id").values_list("id", flat=True)[:1]
        refused = request_withdrawal(book.ada, book.currency, 30_000, reference="no", actor=OPERATOR, now=NOW)
        refuse_transfer(refused.pk, "Not hers.", actor=SECOND, now=NOW)
        bounced = deposit(book.eve, book.currency, 500, reference="bounces", now=NOW)
        reversal = request_reversal(bounced.pk, "It bounced.", actor=OPERATOR, now=NOW)
        approve_transfer(reversal.pk, actor=SECOND, now=NOW)
        cash = book.cash(book.eve)
        freeze_account(cash, reason="an inquiry", actor="op", now=NOW)
        thaw_account(cash, reason="all is well", actor="op", now=NOW)
        book.publish()
        book.post(_payment(book, contract.id, 3))
        seal_period("2026-12-01", MIDNIGHT, actor="test", now=MIDNIGHT + timedelta(minutes=10))
        book.publish()
        batch = Batch.objects.get(first_transaction__lt=payment, last_transaction__gt=payment).no
        tokens = Account.objects.get(party_id=book.ada, role=Role.ENTITLEMENT).id
        return cls(book, book.account(book.ada), book.account(book.bob), tokens, payment, batch, held)

    def pay(self, number: int) -> int:
        """One more payment; gives its number."""
        (posted,) = self.book.post(_payment(self.book, Asset.objects.get(code="TOKENS@1H").id, number))
        return posted


def _payment(book: Logbook, contract: int, number: int) -> TransactionDraft:
    """Ada buys two tokens of Bob."""
    legs = (
        Leg(book.cash(book.ada), -100, f"fill {number}"),
        Leg(book.cash(book.bob), 100, f"fill {number}"),
        Leg(AccountKey(book.bob, contract, Role.OBLIGATION), -2, f"fill {number}"),
        Leg(AccountKey(book.ada, contract, Role.ENTITLEMENT), 2, f"fill {number}"),
    )
    return TransactionDraft("clearing", "test", f"payment {number}", NOW, legs)
