"""Files for the bank: the payments of a netting set, sent on by another person than the one who made them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from ledger import journal
from ledger.actions import record_action
from ledger.parties.access import check_another_person
from ledger.selectors.parties import get_house_id
from settlement.minor_units import format_minor, micros_per_minor
from settlement.models import InstructionState, NettingSet, PaymentFile, PaymentInstruction, PayoutAccount, Withheld
from settlement.payments.accounts import current_accounts
from settlement.payments.errors import PaymentsWithheld, PayoutAccountMissing, WrongInstructionState
from settlement.payments.instructions import get_netting
from settlement.payments.lock import lock_payments
from settlement.payments.pain001 import BankAccount, CreditTransfer, PaymentOrder, write_pain001
from settlement.payments.payment_csv import write_payment_csv
from settlement.payments.withholding import TOLD, find_unpayable, withhold

FORMS = {"pain.001": write_pain001, "csv": write_payment_csv}


def export_payments(netting_id: int, form: str, *, actor: str, now: datetime) -> PaymentFile:
    """Write the payments of a netting set that were not exported yet into a file; they are exported by that.

    Those that may not leave any more are withheld instead. When there are none to export, the last file is returned
    byte for byte, if it is of this form. `form` is `pain.001` or `csv`. Raises `NotFound`, `WrongInstructionState` when
    there is nothing to export, `NeedsAnotherPerson` for who made the payments, `PayoutAccountMissing` for the house
    without an account that money comes from, and `PaymentsWithheld` when all were: that stays, so it is no part of a
    transaction of the caller's.
    """
    with transaction.atomic(durable=True):
        file, withheld = _export(netting_id, form, actor, now)
    if file is None:
        told = "; ".join(f"{payment.end_to_end_id}: {TOLD[why]}" for payment, why in list(withheld.items())[:5])
        raise PaymentsWithheld(
            f"None of these payments may be sent now. {told}.", netting=str(netting_id), payments=len(withheld)
        )
    return file


def _export(
    netting_id: int, form: str, actor: str, now: datetime
) -> tuple[PaymentFile | None, dict[PaymentInstruction, Withheld]]:
    if form not in FORMS:
        raise WrongInstructionState(f"Payments are exported as {' or '.join(FORMS)}.", field="form")
    netting = get_netting(netting_id)
    lock_payments()
    waiting = list(
        PaymentInstruction.objects.select_for_update(of=("self",))
        .select_related("payout_account", "netting")
        .filter(netting=netting, state=InstructionState.CREATED)
        .order_by("id")
    )
    if not waiting:
        return _last_file(netting, form), {}
    for maker in sorted({instruction.changed_by for instruction in waiting}):
        check_another_person(actor, maker, asked_for="these payments", netting=str(netting_id))
    house_id = get_house_id()
    debtor = current_accounts([house_id], netting.currency_id).get(house_id)
    if debtor is None:
        raise PayoutAccountMissing("The house has no confirmed account that money could come from.", party="house")
    journal.lock_head()  # nobody is frozen, and nobody comes to owe, before the payments are exported
    withheld = find_unpayable(waiting)
    withhold(withheld, actor=actor, now=now)
    sent = [payment for payment in waiting if payment not in withheld]
    return _write_file(netting, form, sent, debtor, actor, now) if sent else None, withheld


def _write_file(
    netting: NettingSet, form: str, sent: Sequence[PaymentInstruction], debtor: PayoutAccount, actor: str, now: datetime
) -> PaymentFile:
    number = PaymentFile.objects.filter(netting=netting).count() + 1
    message_id = f"TB-{netting.currency.code}-{netting.value_date:%Y%m%d}-{netting.sequence}-F{number}"
    content = FORMS[form](_order(netting, sent, debtor, message_id, now))
    file = PaymentFile.objects.create(
        netting=netting,
        message_id=message_id,
        form=form,
        content=content,
        digest=hashlib.sha256(content).digest(),
        created_at=now,
        created_by=actor,
    )
    PaymentInstruction.objects.filter(pk__in=[instruction.pk for instruction in sent]).update(
        state=InstructionState.EXPORTED, file=file, changed_at=now, changed_by=actor
    )
    record_action(
        actor=actor,
        action="export_payments",
        subject=f"payment_file:{message_id}",
        now=now,
        details={"payments": len(sent), "form": form, "digest": file.digest.hex()},
    )
    return file


def _last_file(netting: NettingSet, form: str) -> PaymentFile:
    last = PaymentFile.objects.filter(netting=netting).order_by("-id").first()
    if last is None:
        raise WrongInstructionState("There are no payments to export. Create them first.", netting=str(netting.pk))
    if last.form != form:
        raise WrongInstructionState(
            f"These payments went into {last.message_id} as {last.form}. A second file would pay them twice.",
            form=last.form,
        )
    return last


def _order(
    netting: NettingSet, waiting: Sequence[PaymentInstruction], debtor: PayoutAccount, message_id: str, now: datetime
) -> PaymentOrder:
    currency = netting.currency.code
    unit = micros_per_minor(currency)
    return PaymentOrder(
        message_id=message_id,
        created_at=now,
        currency=currency,
        value_date=netting.value_date,
        debtor=_bank_account(debtor),
        transfers=[
            CreditTransfer(
                instruction.end_to_end_id,
                format_minor(instruction.micros // unit, currency),
                _bank_account(instruction.payout_account),
                f"Tokenbourse settlement {netting.value_date} {instruction.end_to_end_id}",
            )
            for instruction in waiting
        ],
        total=format_minor(sum(instruction.micros for instruction in waiting) // unit, currency),
    )


def _bank_account(account: PayoutAccount) -> BankAccount:
    return BankAccount(account.holder, account.iban, account.bic)
