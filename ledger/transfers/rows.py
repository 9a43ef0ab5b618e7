"""From a transfer's row to what it does to the books."""

from __future__ import annotations

from ledger.chart import AccountKey, Role
from ledger.models import Transfer, TransferKind
from ledger.selectors.parties import get_house_id
from ledger.transfers.postings import Movement


def movement_of(transfer: Transfer) -> Movement:
    """What a transfer moves, and out of which hold."""
    reversed_one = transfer.reverses
    brings_money = (transfer if reversed_one is None else reversed_one).kind == TransferKind.DEPOSIT
    if reversed_one is not None:
        brings_money = not brings_money
    return Movement(
        transfer_id=transfer.pk,
        kind=transfer.kind,
        cash=AccountKey(transfer.party_id, transfer.currency_id, Role.CASH),
        external=AccountKey(get_house_id(), transfer.currency_id, Role.EXTERNAL),
        into_cash=transfer.micros if brings_money else -transfer.micros,
        payment_reference=transfer.payment_reference,
        effective_at=transfer.requested_at,
        held=transfer.kind == TransferKind.WITHDRAWAL,
        reverses=None if reversed_one is None else reversed_one.transaction_id,
    )
