"""What disputes need accounts for: none of them is closed while money of a dispute may come back to it."""

from __future__ import annotations

from django.db.models import Q

from ledger.chart import AccountKey, Role
from ledger.restrictions import AccountUse, register_account_use
from settlement.disputes.entries import PENDING
from settlement.models import Dispute


def open_disputes(key: AccountKey) -> str:
    """Why a party's cash stays open, in the rest of a sentence; nothing if it need not."""
    sides = Q(party_id=key.party_id) | Q(payee_id=key.party_id)
    pending = Dispute.objects.filter(sides, statement__currency_id=key.asset_id, state__in=PENDING)
    return "its owner is a side of a dispute that is not settled" if key.role is Role.CASH and pending.exists() else ""


def register() -> None:
    """Let the ledger know; once, at start-up."""
    register_account_use(AccountUse("settlement.disputes", open_disputes))
