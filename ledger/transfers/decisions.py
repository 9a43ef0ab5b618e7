"""Deciding a transfer: by another person than the one who asked, once, and posted in the same database transaction.

Whoever decides locks the transfer first and the ledger head after it, so of two at once the second meets a decision.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from ledger import journal
from ledger.actions import record_action
from ledger.errors import AccountFrozen, AlreadyDecided, NotFound, ReasonMissing
from ledger.models import Transfer, TransferState
from ledger.parties.access import check_another_person
from ledger.transfers.postings import Movement, draft_release, draft_transfer
from ledger.transfers.rows import movement_of


@transaction.atomic
def approve_transfer(transfer_id: int, *, actor: str, now: datetime) -> Transfer:
    """Approve a transfer and post it. One that is posted already is returned as it is.

    Raises `NotFound`, `NeedsAnotherPerson`, `AlreadyDecided` when it was refused, and what the posting door raises:
    then nothing changes, and a withdrawal's amount stays held.
    """
    transfer = lock_transfer(transfer_id)
    if transfer.state == TransferState.POSTED:
        return transfer
    _check_decidable(transfer, actor)
    movement = movement_of(transfer)
    if movement.held:
        _refuse_frozen(movement)
    (posted,) = journal.post([draft_transfer(movement)], actor=actor, now=now)
    transfer.transaction_id = posted.transaction_id
    return _decide(transfer, TransferState.POSTED, "approve_transfer", actor, now)


@transaction.atomic
def refuse_transfer(transfer_id: int, reason: str, *, actor: str, now: datetime) -> Transfer:
    """Refuse a transfer and release what it holds. One that is refused already is returned as it is.

    Raises `NotFound`, `NeedsAnotherPerson`, `ReasonMissing`, and `AlreadyDecided` when it is posted.
    """
    if not reason.strip():
        raise ReasonMissing("Refusing a transfer needs a reason.", field="reason")
    transfer = lock_transfer(transfer_id)
    if transfer.state == TransferState.REFUSED:
        return transfer
    _check_decidable(transfer, actor)
    movement = movement_of(transfer)
    if movement.held:
        journal.post([draft_release(movement)], actor=actor, now=now)
    transfer.refusal = reason
    return _decide(transfer, TransferState.REFUSED, "refuse_transfer", actor, now)


def lock_transfer(transfer_id: int) -> Transfer:
    """Lock a transfer until the caller's transaction ends."""
    found = Transfer.objects.select_for_update().filter(pk=transfer_id).first()
    if found is None:
        raise NotFound(f"There is no transfer {transfer_id}.", transfer=transfer_id)
    return found


def _check_decidable(transfer: Transfer, actor: str) -> None:
    if transfer.state != TransferState.REQUESTED:
        raise AlreadyDecided(
            f"Transfer {transfer.pk} is {transfer.state} already, decided by {transfer.decided_by}.",
            transfer=transfer.pk,
            state=transfer.state,
        )
    check_another_person(actor, transfer.requested_by, asked_for="this transfer", transfer=transfer.pk)


def _refuse_frozen(movement: Movement) -> None:
    """Pay nothing out of an account that was frozen after the request, although the amount is held for it.

    The door cannot know: paying what is held leaves as much free as before, and damages are paid like that.
    """
    journal.lock_head()
    account = journal.load_accounts([movement.cash])[movement.cash]
    if account.frozen:
        raise AccountFrozen("The account is frozen. Thaw it, or refuse the withdrawal.", **account.figures())


def _decide(transfer: Transfer, state: TransferState, action: str, actor: str, now: datetime) -> Transfer:
    transfer.state, transfer.decided_by, transfer.decided_at = state, actor, now
    transfer.save(update_fields=["state", "decided_by", "decided_at", "refusal", "transaction_id"])
    record_action(
        actor=actor,
        action=action,
        subject=f"transfer:{transfer.pk}",
        reason=transfer.refusal,
        now=now,
        details={"kind": transfer.kind, "requested_by": transfer.requested_by},
    )
    return transfer
