"""Payments that must not leave any more: taken back before they are sent, for a reason that everybody reads.

Nobody is paid whose cash is frozen or closed, or who owes: a default, an inquiry and a debt may come between the making
of a payment and its file. Nor is a payment sent to an account that was replaced since. It is looked at under the
ledger's head when the file is written; and at each sweep, so that what such a payment holds is there for those to whom
it is owed. A payment that was withheld can be made again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from ledger import journal
from ledger.actions import record_action
from ledger.chart import Role
from settlement.models import InstructionState, PaymentInstruction, Withheld
from settlement.payments.accounts import current_accounts
from settlement.payments.instructions import POSTED_AT_ONCE, payment_of, why_unpayable
from settlement.payments.lock import lock_payments

TOLD = {
    Withheld.CASH_FROZEN: "not sent: the party's cash is frozen",
    Withheld.CASH_CLOSED: "not sent: the party's cash account is closed",
    Withheld.OPEN_DEBT: "not sent: the party owes for an earlier settlement",
    Withheld.OTHER_ACCOUNT: "not sent: the party is paid to another account now",
    Withheld.DISPUTE: "not sent: a dispute needs what it held",
}


def find_unpayable(payments: Sequence[PaymentInstruction]) -> dict[PaymentInstruction, Withheld]:
    """Those that must not be sent, with why. What it says holds while the caller has the ledger's head."""
    keys = {payment: payment_of(payment).cash for payment in payments}
    states = journal.load_accounts([*keys.values(), *(key._replace(role=Role.DEBT) for key in keys.values())])
    current = _current_accounts(payments)
    found = {}
    for payment, key in keys.items():
        if (why := why_unpayable(states, key)) is not None:
            found[payment] = why
        elif payment.payout_account_id not in current:
            found[payment] = Withheld.OTHER_ACCOUNT
    return found


def withhold(found: Mapping[PaymentInstruction, Withheld], *, actor: str, now: datetime) -> None:
    """Release what locked payments hold, and say why on each. Under the lock of payments and the ledger's head."""
    if not found:
        return
    drafts = [payment_of(payment).release(now) for payment in found]
    for (payment, why), posted in zip(found.items(), journal.post(drafts, actor=actor, now=now), strict=True):
        payment.state, payment.returned_transaction_id = InstructionState.RETURNED, posted.transaction_id
        payment.withheld, payment.return_reason = why, TOLD[why]
        payment.changed_at, payment.changed_by = now, actor
        payment.save(
            update_fields=[
                "state", "returned_transaction_id", "withheld", "return_reason", "changed_at", "changed_by",
            ]
        )  # fmt: skip
        record_action(
            actor=actor,
            action="withhold_payment",
            subject=f"payment:{payment.end_to_end_id}",
            reason=payment.return_reason,
            now=now,
        )


def withhold_unpayable(*, actor: str, now: datetime) -> int:
    """Withhold the payments that wait and must not be sent; how many they were.

    A provider's default freezes its cash at once, and its payments follow here, as those of every other frozen party.
    """
    if not find_unpayable(list(_created())):
        return 0
    with transaction.atomic():
        lock_payments()
        waiting = list(_created().select_for_update(of=("self",)))
        journal.lock_head()
        found = dict(list(find_unpayable(waiting).items())[:POSTED_AT_ONCE])
        withhold(found, actor=actor, now=now)
    return len(found)


def withhold_for_dispute(party_id: int, currency_id: int, *, actor: str, now: datetime) -> None:
    """Free what payments to a party hold that were not sent yet: what is in dispute comes first."""
    waiting = _created().filter(party_id=party_id, netting__currency_id=currency_id)
    found = dict.fromkeys(waiting.select_for_update(of=("self",)), Withheld.DISPUTE)
    withhold(found, actor=actor, now=now)


def _current_accounts(payments: Sequence[PaymentInstruction]) -> set[int]:
    """The payout accounts by which these parties are paid now. Under the lock of payments none is confirmed."""
    parties: dict[int, set[int]] = {}
    for payment in payments:
        parties.setdefault(payment.netting.currency_id, set()).add(payment.party_id)
    current = (current_accounts(party_ids, currency_id).values() for currency_id, party_ids in parties.items())
    return {account.pk for accounts in current for account in accounts}


def _created() -> QuerySet[PaymentInstruction]:
    created = PaymentInstruction.objects.filter(state=InstructionState.CREATED)
    return created.select_related("netting").order_by("id")
