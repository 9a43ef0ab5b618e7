"""What a bank says came back of a payment that it had confirmed: cash is credited when a second person has looked.

The money had left, so whoever takes in such a file would credit a party alone. Neither that person nor the one who sent
the payment accepts it.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from ledger import journal
from ledger.actions import record_action
from ledger.errors import NotFound, ReasonMissing
from ledger.parties.access import check_another_person
from settlement.errors import RequestNotOpen
from settlement.models import InstructionState, PaymentInstruction, PaymentReturn, RequestState
from settlement.payments.errors import WrongInstructionState
from settlement.payments.instructions import payment_of
from settlement.payments.lock import lock_payments


@transaction.atomic
def accept_return(return_id: int, *, actor: str, now: datetime) -> PaymentReturn:
    """Credit the party with what came back. One that is accepted already is returned as it is.

    Raises `NotFound`, `RequestNotOpen` when it was refused, `NeedsAnotherPerson` for who took the bank's file in and
    for who exported the payment, `WrongInstructionState`, and what posting raises.
    """
    asked = _lock(return_id)
    if asked.state == RequestState.CONFIRMED:
        return asked
    _check_decidable(asked, actor)
    instruction = asked.instruction
    paid = instruction.paid_transaction_id
    if instruction.state != InstructionState.CONFIRMED or paid is None:
        raise WrongInstructionState(
            f"Payment {instruction.end_to_end_id} is {instruction.state}.", state=instruction.state
        )
    (posted,) = journal.post([payment_of(instruction).take_back(paid, now)], actor=actor, now=now)
    _decide(asked, RequestState.CONFIRMED, "", actor, now)
    instruction.state, instruction.returned_transaction_id = InstructionState.RETURNED, posted.transaction_id
    instruction.return_reason = asked.reason
    instruction.changed_at, instruction.changed_by = now, actor
    instruction.save(
        update_fields=["state", "returned_transaction_id", "return_reason", "changed_at", "changed_by"],
    )
    return asked


@transaction.atomic
def refuse_return(return_id: int, reason: str, *, actor: str, now: datetime) -> PaymentReturn:
    """Let the payment stand as paid, for a reason; another file of the bank may tell of a return again.

    Raises `ReasonMissing`, and what accepting raises.
    """
    if not reason.strip():
        raise ReasonMissing("Refusing a return needs a reason.", field="reason")
    asked = _lock(return_id)
    if asked.state != RequestState.REFUSED:
        _check_decidable(asked, actor)
        _decide(asked, RequestState.REFUSED, reason.strip(), actor, now)
    return asked


def _lock(return_id: int) -> PaymentReturn:
    lock_payments()
    asked = PaymentReturn.objects.select_for_update().filter(pk=return_id).first()
    if asked is None:
        raise NotFound(f"There is no return {return_id}.", payment_return=str(return_id))
    rows = PaymentInstruction.objects.select_for_update(of=("self",)).select_related("netting", "file")
    asked.instruction = rows.defer("file__content").get(pk=asked.instruction_id)
    return asked


def _check_decidable(asked: PaymentReturn, actor: str) -> None:
    if asked.state != RequestState.REQUESTED:
        raise RequestNotOpen(
            f"Return {asked.pk} is {asked.state} already, decided by {asked.decided_by}.", state=asked.state
        )
    file = asked.instruction.file
    for other in (asked.requested_by, *([file.created_by] if file else [])):
        check_another_person(actor, other, asked_for="this return", payment_return=str(asked.pk))


def _decide(asked: PaymentReturn, state: RequestState, reason: str, actor: str, now: datetime) -> None:
    asked.state, asked.decided_by, asked.decided_at = state, actor, now
    asked.save(update_fields=["state", "decided_by", "decided_at"])
    record_action(
        actor=actor,
        action="accept_return" if state is RequestState.CONFIRMED else "refuse_return",
        subject=f"payment:{asked.instruction.end_to_end_id}",
        reason=reason,
        now=now,
        details={"requested_by": asked.requested_by, "confirmation": asked.confirmation_id},
    )
