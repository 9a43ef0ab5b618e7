"""The return of a payment that was confirmed: no one person, and not who sent it, credits a party with it."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.db.utils import IntegrityError

from ledger.chart import AccountKey, Role
from ledger.errors import AccountNeeded, NeedsAnotherPerson, NotFound, ReasonMissing
from ledger.restrictions import close_account
from settlement.errors import RequestNotOpen
from settlement.models import ConfirmationImport, InstructionState, PaymentInstruction, PaymentReturn, RequestState
from settlement.payments.confirmations import import_confirmation, results_of
from settlement.payments.errors import InvalidConfirmation, WrongInstructionState
from settlement.payments.returns import accept_return, refuse_return
from tests.audits import findings
from tests.conftest import DatabaseUrls
from tests.integration.settlement.line_rows import audit_but_lines
from tests.integration.settlement.payment_day import PaymentDay
from tests.integration.settlement.trading_day import NOW
from tests.two_operators import FIRST, SECOND, withdraw

OPENING = 100_000_000
THIRD = "third operator"
HEADER = "end_to_end_id,status,amount,currency,bank_reference,reason\n"


@pytest.fixture
def paid(database: DatabaseUrls) -> PaymentDay:
    """3.00 that SECOND sent and the bank has paid."""
    paying = PaymentDay()
    paying.sent(("provider-1", 3_000_000))
    told("confirmed", actor=FIRST)
    return paying


def told(status: str, *, actor: str, amount: str = "3.00", reason: str = "") -> ConfirmationImport:
    name = PaymentInstruction.objects.get().end_to_end_id
    content = f"{HEADER}{name},{status},{amount},CNY,B1,{reason}\n"
    return import_confirmation(content.encode(), actor=actor, now=NOW)


def test_who_exported_a_payment_does_not_give_it_back_alone(paid: PaymentDay) -> None:
    imported = told("returned", actor=SECOND, reason="AC04")
    assert [result.code for result in results_of(imported)] == ["return_requested"]
    assert (imported.returned, paid.day.balance("provider-1")) == (0, OPENING - 3_000_000)
    assert PaymentInstruction.objects.get().state == InstructionState.CONFIRMED
    asked = PaymentReturn.objects.get()
    for actor in (SECOND, SECOND.upper()):
        with pytest.raises(NeedsAnotherPerson):
            accept_return(asked.pk, actor=actor, now=NOW)
    accept_return(asked.pk, actor=THIRD, now=NOW)
    payment = PaymentInstruction.objects.get()
    assert (payment.state, payment.return_reason) == ("returned", "AC04")
    assert paid.day.balance("provider-1") == OPENING
    assert accept_return(asked.pk, actor=THIRD, now=NOW).state == RequestState.CONFIRMED
    assert paid.day.balance("provider-1") == OPENING
    assert findings(audit_but_lines()) == {}


def test_neither_who_took_the_file_in_nor_who_exported_accepts(paid: PaymentDay) -> None:
    told("returned", actor=FIRST)
    asked = PaymentReturn.objects.get()
    for actor in (FIRST, SECOND):
        with pytest.raises(NeedsAnotherPerson):
            accept_return(asked.pk, actor=actor, now=NOW)
        with pytest.raises(NeedsAnotherPerson):
            refuse_return(asked.pk, "no", actor=actor, now=NOW)
    assert paid.day.balance("provider-1") == OPENING - 3_000_000


def test_a_return_waits_once_and_may_be_told_again_when_it_was_refused(paid: PaymentDay) -> None:
    told("returned", actor=FIRST)
    with pytest.raises(WrongInstructionState, match="waits for another operator"):
        told("returned", actor=FIRST, reason="again")
    with pytest.raises(InvalidConfirmation):
        told("returned", actor=FIRST, amount="2.00")
    asked = PaymentReturn.objects.get()
    with pytest.raises(ReasonMissing):
        refuse_return(asked.pk, " ", actor=THIRD, now=NOW)
    refuse_return(asked.pk, "the bank knows nothing of it", actor=THIRD, now=NOW)
    with pytest.raises(RequestNotOpen):
        accept_return(asked.pk, actor=THIRD, now=NOW)
    told("returned", actor=FIRST, reason="again")
    assert list(PaymentReturn.objects.order_by("id").values_list("state", "reason")) == [
        ("refused", "no reason given"),
        ("requested", "again"),
    ]
    with pytest.raises(NotFound):
        accept_return(99, actor=THIRD, now=NOW)
    assert findings(audit_but_lines()) == {}


def test_the_database_credits_nothing_that_nobody_accepted(paid: PaymentDay) -> None:
    payment = PaymentInstruction.objects.get()
    with pytest.raises(IntegrityError, match="nobody has accepted"), transaction.atomic():
        PaymentInstruction.objects.update(
            state=InstructionState.RETURNED, returned_transaction_id=payment.paid_transaction_id, return_reason="x"
        )
    imported = told("returned", actor=FIRST)
    decided = {"state": RequestState.CONFIRMED, "decided_at": NOW}
    with pytest.raises(IntegrityError, match="not decided by who exported"), transaction.atomic():
        PaymentReturn.objects.update(decided_by=SECOND, **decided)
    with pytest.raises(IntegrityError, match="payment_return_decided_by_another"), transaction.atomic():
        PaymentReturn.objects.update(decided_by=FIRST, **decided)
    with pytest.raises(IntegrityError, match="requested first"), transaction.atomic():
        PaymentReturn.objects.create(
            instruction=payment, confirmation=imported, reason="x", requested_by="a", requested_at=NOW,
            decided_by="b", **decided,
        )  # fmt: skip


def test_cash_stays_open_while_a_return_waits(paid: PaymentDay) -> None:
    told("returned", actor=FIRST)
    key = AccountKey(paid.party("provider-1").pk, paid.day.currency_id, Role.CASH)
    withdraw(key.party_id, key.asset_id, OPENING - 3_000_000, reference="all", now=NOW)
    with pytest.raises(AccountNeeded, match="waits to be accepted"):
        close_account(key, reason="gone", actor=FIRST, now=NOW)
