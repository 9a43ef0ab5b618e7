"""Putting disputed money into suspense, and giving it back. Both inside the transaction that locked the dispute."""

from __future__ import annotations

from datetime import datetime

from exchange.models import Contract
from ledger import journal
from ledger.chart import AccountKey, Role
from ledger.selectors.parties import get_house_id
from settlement.disputes.postings import Suspension, draft_release, draft_suspension, payee_account
from settlement.models import Dispute
from settlement.payments.withholding import withhold_for_dispute


def suspend(dispute: Dispute, *, actor: str, now: datetime) -> int:
    """Take what is disputed from the payee's free cash, as far as that goes; returns how much it was.

    A payment to the payee that was not sent yet gives up what it holds, if that is needed: the caller has the lock of
    payments. Nothing is taken from a frozen account. A provider's bond is not touched: it stays held until the dispute
    is over, and secures what could not be taken.
    """
    wanted = _suspension(dispute, dispute.disputed_micros)
    journal.lock_head()  # what the payee has must not change until it is posted
    if wanted.payee.role is Role.CASH and free_micros(wanted.payee) < wanted.micros:
        withhold_for_dispute(wanted.payee.party_id, wanted.payee.asset_id, actor=actor, now=now)
    taken = _suspension(dispute, min(dispute.disputed_micros, free_micros(wanted.payee)))
    if taken.micros:
        journal.post([draft_suspension(taken, effective_at=now)], actor=actor, now=now)
    return taken.micros


def release(dispute: Dispute, *, actor: str, now: datetime) -> None:
    """Give the payee back what lies in suspense; once, whoever calls how often at the same time."""
    held = suspension_of(dispute)
    if held.micros:
        journal.post([draft_release(held, effective_at=now)], actor=actor, now=now)


def free_micros(key: AccountKey) -> int:
    """What an account can pay: nothing while it is frozen. Under the ledger head."""
    account = journal.load_accounts([key]).get(key)
    if account is None or account.frozen or account.closed:
        return 0
    return max(account.available or 0, 0)


def suspension_of(dispute: Dispute) -> Suspension:
    """What of a dispute lies in suspense while it is not over."""
    return _suspension(dispute, dispute.suspended_micros)


def _suspension(dispute: Dispute, micros: int) -> Suspension:
    house_id = get_house_id()
    payee = payee_account(
        dispute.line_kind, dispute.payee_id, currency_id=dispute.statement.currency_id, house_id=house_id
    )
    symbol = Contract.objects.values_list("symbol", flat=True).get(id=dispute.contract_id)
    return Suspension(dispute.pk, symbol, payee, house_id, micros)
