"""Payments out of a netting set: made, and cancelled before they are sent.

Each holds its amount on the party's cash from the moment it is made, so that it is there when the bank pays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db import transaction
from django.db.models import QuerySet

from ledger import journal
from ledger.actions import record_action
from ledger.chart import AccountKey, Role
from ledger.errors import NotFound, ReasonMissing
from ledger.models import PartyKind
from ledger.money import format_micros
from ledger.selectors.parties import get_house_id
from settlement.minor_units import micros_per_minor
from settlement.models import InstructionState, NettedParty, NettingSet, PaymentInstruction, PayoutAccount, Withheld
from settlement.payments.accounts import current_accounts
from settlement.payments.errors import InstructionNotFound, PayoutAccountMissing, WrongInstructionState
from settlement.payments.lock import lock_payments
from settlement.payments.postings import Payment

POSTED_AT_ONCE = 500  # nobody waits longer than that for the ledger's head
MAX_RETURN_REASON = 200


class Unpaid(StrEnum):
    """Why a party that is to receive money gets no payment now."""

    NO_ACCOUNT = "no_payout_account"
    NO_FREE_CASH = "no_free_cash"  # less than a minor unit is free, or the cash is frozen
    OPEN_DEBT = "open_debt"


@dataclass(frozen=True, slots=True)
class Instructed:
    """All payments of a netting set so far but those that were withheld, and who gets none for now."""

    instructions: tuple[PaymentInstruction, ...]
    unpaid: Mapping[str, Unpaid]  # by party code


def create_instructions(netting_id: int, *, actor: str, now: datetime) -> Instructed:
    """Make a payment for each party with a positive net that has none yet, and hold its amount.

    The amount is the net, or what is free of it, in whole minor units; the rest stays on the party's cash. Who owes is
    not paid. Called again it makes those that have become possible, also instead of withheld ones. Raises `NotFound`,
    and `PayoutAccountMissing` when nobody could be paid for lack of a confirmed account.
    """
    netting = get_netting(netting_id)
    receivers = list(_receivers(netting))
    unpaid: dict[str, Unpaid] = {}
    for start in range(0, len(receivers), POSTED_AT_ONCE):
        unpaid |= _create(netting, receivers[start : start + POSTED_AT_ONCE], actor, now)
    made = tuple(_standing(netting).select_related("party").order_by("id"))
    if not made and unpaid and set(unpaid.values()) == {Unpaid.NO_ACCOUNT}:
        raise PayoutAccountMissing(
            "No party of this set has a confirmed payout account.", parties=sorted(unpaid), netting=str(netting_id)
        )
    return Instructed(made, unpaid)


@transaction.atomic
def cancel_instruction(instruction_id: int, reason: str, *, actor: str, now: datetime) -> PaymentInstruction:
    """Take back a payment that was not exported yet; its amount is free again. Once cancelled it stays so.

    Raises `ReasonMissing`, `InstructionNotFound` and `WrongInstructionState`.
    """
    if not reason.strip():
        raise ReasonMissing("Cancelling a payment needs a reason.", field="reason")
    lock_payments()
    instruction = PaymentInstruction.objects.select_for_update().filter(pk=instruction_id).first()
    if instruction is None:
        raise InstructionNotFound(f"There is no payment {instruction_id}.", instruction=str(instruction_id))
    if instruction.state != InstructionState.CREATED:
        raise WrongInstructionState(
            f"Payment {instruction.end_to_end_id} is {instruction.state}. Only one that was not exported is cancelled.",
            state=instruction.state,
        )
    (posted,) = journal.post([payment_of(instruction).release(now)], actor=actor, now=now)
    instruction.state, instruction.returned_transaction_id = InstructionState.RETURNED, posted.transaction_id
    instruction.return_reason = reason.strip()[:MAX_RETURN_REASON]
    instruction.changed_at, instruction.changed_by = now, actor
    instruction.save(
        update_fields=["state", "returned_transaction_id", "return_reason", "changed_at", "changed_by"],
    )
    record_action(
        actor=actor,
        action="cancel_payment",
        subject=f"payment:{instruction.end_to_end_id}",
        reason=reason.strip(),
        now=now,
    )
    return instruction


def get_netting(netting_id: int) -> NettingSet:
    """Raises `NotFound`."""
    netting = NettingSet.objects.select_related("currency").filter(pk=netting_id).first()
    if netting is None:
        raise NotFound(f"There is no netting set {netting_id}.", netting=str(netting_id))
    return netting


def payment_of(instruction: PaymentInstruction) -> Payment:
    """The instruction as the books see it."""
    currency_id = instruction.netting.currency_id
    return Payment(
        instruction.end_to_end_id,
        cash=AccountKey(instruction.party_id, currency_id, Role.CASH),
        external=AccountKey(get_house_id(), currency_id, Role.EXTERNAL),
        micros=instruction.micros,
    )


def why_unpayable(states: Mapping[AccountKey, journal.AccountState], cash: AccountKey) -> Withheld | None:
    """Why nothing is paid out of a cash account; `states` has it and its owner's debt, as far as they exist."""
    account, owed = states.get(cash), states.get(cash._replace(role=Role.DEBT))
    if account is None or account.closed:
        return Withheld.CASH_CLOSED
    if account.frozen:
        return Withheld.CASH_FROZEN
    return Withheld.OPEN_DEBT if owed is not None and owed.balance < 0 else None


def _receivers(netting: NettingSet) -> Iterator[NettedParty]:
    """Parties to be paid, without those that are; the house pays and is not paid."""
    paid = _standing(netting).values("party_id")
    parties = NettedParty.objects.filter(netting=netting, net_micros__gt=0).select_related("party")
    return parties.exclude(party__kind=PartyKind.HOUSE).exclude(party_id__in=paid).order_by("party_id").iterator()


@transaction.atomic
def _create(netting: NettingSet, receivers: Sequence[NettedParty], actor: str, now: datetime) -> dict[str, Unpaid]:
    lock_payments()
    party_ids = [receiver.party_id for receiver in receivers]
    done = set(_standing(netting).filter(party_id__in=party_ids).values_list("party_id", flat=True))
    waiting = [receiver for receiver in receivers if receiver.party_id not in done]
    accounts = current_accounts([receiver.party_id for receiver in waiting], netting.currency_id)
    unpaid = {receiver.party.code: Unpaid.NO_ACCOUNT for receiver in waiting if receiver.party_id not in accounts}
    payable = [receiver for receiver in waiting if receiver.party_id in accounts]
    journal.lock_head()  # what is free must not change until it is held
    free = _free([receiver.party_id for receiver in payable], netting.currency_id)
    withheld = _withheld(netting, [receiver.party_id for receiver in payable])
    unit = micros_per_minor(netting.currency.code)
    made = []
    for receiver in payable:
        each = free[receiver.party_id]
        micros = 0 if isinstance(each, Unpaid) else min(receiver.net_micros, each) // unit * unit
        if micros > 0:
            attempt = withheld[receiver.party_id] + 1
            made.append(_instruction(netting, receiver, accounts[receiver.party_id], micros, attempt, actor, now))
        else:
            unpaid[receiver.party.code] = each if isinstance(each, Unpaid) else Unpaid.NO_FREE_CASH
    if made:
        drafts = [payment_of(instruction).hold(now) for instruction in made]
        for instruction, posted in zip(made, journal.post(drafts, actor=actor, now=now), strict=True):
            instruction.hold_transaction_id = posted.transaction_id
        PaymentInstruction.objects.bulk_create(made)
        record_action(
            actor=actor,
            action="create_payments",
            subject=f"netting:{netting.pk}",
            now=now,
            details={
                "payments": len(made),
                "amount": format_micros(sum(instruction.micros for instruction in made)),
                "currency": netting.currency.code,
            },
        )
    return unpaid


def _instruction(
    netting: NettingSet,
    receiver: NettedParty,
    account: PayoutAccount,
    micros: int,
    attempt: int,
    actor: str,
    now: datetime,
) -> PaymentInstruction:
    name = f"{netting.currency.code}-{netting.value_date:%Y%m%d}-{netting.sequence}-{receiver.party_id}"
    if attempt > 1:  # whoever knows the one that was withheld does not take this one for it
        name = f"{name}-{attempt}"
    return PaymentInstruction(
        netting=netting,
        party_id=receiver.party_id,
        payout_account=account,
        micros=micros,
        end_to_end_id=f"TB-{name}",
        created_at=now,
        changed_at=now,
        changed_by=actor,
    )


def _free(party_ids: Sequence[int], currency_id: int) -> dict[int, int | Unpaid]:
    """What each party can be paid, or why nothing."""
    cash = {party_id: AccountKey(party_id, currency_id, Role.CASH) for party_id in party_ids}
    states = journal.load_accounts([*cash.values(), *(key._replace(role=Role.DEBT) for key in cash.values())])
    free: dict[int, int | Unpaid] = {}
    for party_id, key in cash.items():
        why = why_unpayable(states, key)
        if why is None:
            free[party_id] = max(states[key].available or 0, 0)
        else:
            free[party_id] = Unpaid.OPEN_DEBT if why is Withheld.OPEN_DEBT else Unpaid.NO_FREE_CASH
    return free


def _standing(netting: NettingSet) -> QuerySet[PaymentInstruction]:
    """Payments of a set that no other may be made instead of."""
    return PaymentInstruction.objects.filter(netting=netting, withheld="")


def _withheld(netting: NettingSet, party_ids: Sequence[int]) -> Counter[int]:
    """How many payments of each party were withheld in a set."""
    rows = PaymentInstruction.objects.filter(netting=netting, party_id__in=party_ids).exclude(withheld="")
    return Counter(rows.values_list("party_id", flat=True))
