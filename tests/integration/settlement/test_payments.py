"""Payments from the netting to the bank and back: holds, files, confirmations, returns, and what must not happen."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connections, transaction
from django.db.utils import IntegrityError

from ledger.chart import AccountKey, Role
from ledger.errors import AccountNotEmpty, DomainError, NeedsAnotherPerson
from ledger.models import Transaction
from ledger.restrictions import close_account, freeze_account
from settlement.errors import RequestNotOpen
from settlement.models import ConfirmationImport, InstructionState, PaymentInstruction, PaymentReturn, RequestState
from settlement.payments.accounts import (
    confirm_payout_account,
    current_accounts,
    refuse_payout_account,
    request_payout_account,
)
from settlement.payments.confirmations import import_confirmation, results_of
from settlement.payments.errors import (
    InstructionNotFound,
    InvalidConfirmation,
    PayoutAccountMissing,
    WrongInstructionState,
)
from settlement.payments.export import export_payments
from settlement.payments.instructions import Unpaid, cancel_instruction, create_instructions
from settlement.payments.netting_sets import make_netting_set
from settlement.payments.returns import accept_return
from tests.audits import findings, found_by, tamper
from tests.conftest import DatabaseUrls
from tests.integration.settlement.line_rows import audit_but_lines
from tests.integration.settlement.payment_day import IBANS, VALUE_DATE, PaymentDay
from tests.integration.settlement.trading_day import NOW
from tests.two_operators import FIRST, SECOND
from tests.unit.settlement.bank_files import camt054, entry, pain002

OPENING = 100_000_000
THIRD = "third operator"  # who neither exports payments nor takes banks' files in
HEADER = b"end_to_end_id,status,amount,currency,bank_reference,reason\r\n"


@pytest.fixture
def paying(database: DatabaseUrls) -> PaymentDay:
    return PaymentDay()


def take(content: bytes) -> ConfirmationImport:
    return import_confirmation(content, actor=FIRST, now=NOW)


def codes(imported: ConfirmationImport) -> list[tuple[str, str]]:
    return [(result.end_to_end_id, result.code) for result in results_of(imported)]


def books(paying: PaymentDay, code: str) -> tuple[int, int]:
    """Cash and what is held of it."""
    return paying.day.balance(code), paying.day.held(code)


def test_a_payment_from_the_netting_to_the_bank(paying: PaymentDay) -> None:
    outside = paying.day.balance("house", Role.EXTERNAL)
    paying.accounts()
    paying.run(("provider-1", 5_123_456), ("buyer-1", -1_000_000), ("provider-2", 4_999))
    netting = paying.net()
    assert paying.instruct(netting).unpaid == {"provider-2": Unpaid.NO_FREE_CASH}  # less than a fen
    payment = PaymentInstruction.objects.get()
    assert (payment.party.code, payment.micros, payment.state) == ("provider-1", 5_120_000, "created")
    assert books(paying, "provider-1") == (OPENING, 5_120_000)
    assert findings(audit_but_lines()) == {}

    file = paying.export(netting)
    content = bytes(file.content).decode()
    assert payment.end_to_end_id in content
    assert '<InstdAmt Ccy="CNY">5.12</InstdAmt>' in content
    assert bytes(paying.export(netting).content) == bytes(file.content)
    assert findings(audit_but_lines()) == {}

    grouped = "GB82 WEST 1234 5698 7654 32"  # as people write it
    imported = take(camt054(entry((payment.end_to_end_id, "5.12"), creditor=grouped)))
    assert codes(imported) == [(payment.end_to_end_id, "confirmed")]
    payment.refresh_from_db()
    assert (payment.state, payment.bank_reference) == ("confirmed", f"B-{payment.end_to_end_id}")
    assert books(paying, "provider-1") == (OPENING - 5_120_000, 0)
    assert paying.day.balance("house", Role.EXTERNAL) == outside + 5_120_000
    assert findings(audit_but_lines()) == {}


def test_a_payment_that_is_returned_before_and_one_after_it_was_confirmed(paying: PaymentDay) -> None:
    payments = paying.sent(("provider-1", 3_000_000), ("provider-2", 2_000_000), ("buyer-1", 1_000_000))
    first, second, third = (payments[code].end_to_end_id for code in ("provider-1", "provider-2", "buyer-1"))
    imported = take(
        camt054(
            entry((first, "3.00"), (third, "1.00")),
            entry((second, "2.00"), side="CRDT", returned="AC04"),
            entry((third, "1.00"), side="CRDT", returned="AC06"),  # paid and come back in one file
        )
    )
    assert [code for _, code in codes(imported)] == ["confirmed", "confirmed", "returned", "return_requested"]
    assert (imported.confirmed, imported.returned) == (2, 1)
    for code, paid in (("provider-1", 3_000_000), ("provider-2", 0), ("buyer-1", 1_000_000)):
        assert books(paying, code) == (OPENING - paid, 0)
    assert findings(audit_but_lines()) == {}
    take(camt054(entry((first, "3.00"), side="CRDT", returned="AC04")))
    for asked in PaymentReturn.objects.order_by("id"):
        accept_return(asked.pk, actor=THIRD, now=NOW)
    assert books(paying, "buyer-1") == (OPENING, 0)
    assert books(paying, "provider-1") == (OPENING, 0)
    payment = PaymentInstruction.objects.get(end_to_end_id=first)
    assert payment.returned_transaction_id is not None
    taken_back = Transaction.objects.get(id=payment.returned_transaction_id)
    assert (payment.return_reason, taken_back.reverses) == ("AC04 account closed", payment.paid_transaction_id)
    assert findings(audit_but_lines()) == {}


def test_a_rejected_order_returns_all_its_payments(paying: PaymentDay) -> None:
    payments = paying.sent(("provider-1", 3_000_000), ("provider-2", 2_000_000))
    file = PaymentInstruction.objects.get(end_to_end_id=payments["provider-1"].end_to_end_id).file
    assert file is not None
    with pytest.raises(InstructionNotFound):
        take(pain002(message_id="TB-OTHER", group="RJCT"))
    imported = take(pain002(message_id=file.message_id, group="RJCT"))
    assert [code for _, code in codes(imported)] == ["returned", "returned"]
    assert [books(paying, code) for code in ("provider-1", "provider-2")] == [(OPENING, 0)] * 2
    assert findings(audit_but_lines()) == {}


def test_only_what_is_free_is_paid_and_debts_and_frozen_accounts_come_first(paying: PaymentDay) -> None:
    paying.accounts()
    freeze_account(
        AccountKey(paying.party("provider-2").pk, paying.day.currency_id, Role.CASH),
        reason="an inquiry", actor=FIRST, now=NOW,
    )  # fmt: skip
    paying.run(("provider-1", 250_000_000), ("provider-2", 9_000_000), ("buyer-3", 1_000_000))
    netting = paying.net()
    assert paying.instruct(netting).unpaid == {"provider-2": Unpaid.NO_FREE_CASH, "buyer-3": Unpaid.NO_ACCOUNT}
    assert books(paying, "provider-1") == (OPENING, OPENING)
    paying.account("buyer-3", "IE29AIBK93115212345678")
    assert len(paying.instruct(netting).instructions) == 2  # those that have become possible
    assert findings(audit_but_lines()) == {}


def test_nobody_is_paid_without_a_confirmed_account(paying: PaymentDay) -> None:
    paying.run(("provider-1", 5_000_000))
    netting = paying.net()
    party, currency = paying.party("provider-1").pk, paying.day.currency_id
    request_payout_account(party, currency, holder="x", iban=IBANS["provider-1"], actor=FIRST, now=NOW)
    with pytest.raises(PayoutAccountMissing):
        paying.instruct(netting)
    paying.account("provider-1")
    paying.instruct(netting)
    with pytest.raises(PayoutAccountMissing):  # the house has none that money could come from
        paying.export(netting)
    assert PaymentInstruction.objects.get().state == InstructionState.CREATED


def test_accounts_are_confirmed_by_another_person_once(paying: PaymentDay) -> None:
    party, currency = paying.party("provider-1").pk, paying.day.currency_id
    old = paying.account("provider-1")
    asked = request_payout_account(party, currency, holder="x", iban=IBANS["buyer-1"], actor=FIRST, now=NOW)
    with pytest.raises(NeedsAnotherPerson):
        confirm_payout_account(asked.pk, actor=FIRST.upper(), now=NOW)
    refuse_payout_account(asked.pk, "not theirs", actor=SECOND, now=NOW)
    with pytest.raises(RequestNotOpen):
        confirm_payout_account(asked.pk, actor=SECOND, now=NOW)
    assert current_accounts([party], currency) == {party: old}
    with pytest.raises(IntegrityError, match="decided once"), transaction.atomic():
        type(asked).objects.filter(pk=asked.pk).update(
            state=RequestState.CONFIRMED, decided_by="somebody", decided_at=NOW
        )


def test_who_makes_payments_does_not_send_them(paying: PaymentDay) -> None:
    paying.accounts()
    paying.run(("provider-1", 5_000_000))
    netting = paying.net()
    with pytest.raises(WrongInstructionState):
        paying.export(netting)
    paying.instruct(netting)
    with pytest.raises(NeedsAnotherPerson):
        export_payments(netting.pk, "pain.001", actor=FIRST, now=NOW)
    paying.export(netting, "csv")
    with pytest.raises(WrongInstructionState):  # a second file would pay twice
        paying.export(netting, "pain.001")


def test_later_payments_of_a_set_go_into_a_file_of_their_own(paying: PaymentDay) -> None:
    paying.account("house")
    paying.account("provider-1")
    paying.run(("provider-1", 5_000_000), ("buyer-1", 2_000_000))
    netting = paying.net()
    paying.instruct(netting)
    first = paying.export(netting)
    paying.account("buyer-1")
    paying.instruct(netting)
    second = paying.export(netting)
    assert (first.message_id, second.message_id) == ("TB-CNY-20261202-1-F1", "TB-CNY-20261202-1-F2")
    assert b"provider-1" not in bytes(second.content)
    paying.day.clock.at += timedelta(days=1)
    assert bytes(paying.export(netting).content) == bytes(second.content)


def test_a_cancelled_payment_is_free_again_and_stays_cancelled(paying: PaymentDay) -> None:
    paying.accounts()
    paying.run(("provider-1", 5_000_000))
    netting = paying.net()
    (payment,) = paying.instruct(netting).instructions
    cancel_instruction(payment.pk, "wrong account", actor=SECOND, now=NOW)
    assert books(paying, "provider-1") == (OPENING, 0)
    for act in (lambda: cancel_instruction(payment.pk, "again", actor=SECOND, now=NOW), lambda: paying.export(netting)):
        with pytest.raises(WrongInstructionState):
            act()
    assert findings(audit_but_lines()) == {}


def test_forged_confirmations_move_nothing(paying: PaymentDay) -> None:
    payments = paying.sent(("provider-1", 3_000_000), ("provider-2", 2_000_000))
    name = payments["provider-1"].end_to_end_id
    before = Transaction.objects.count()
    forged: list[tuple[bytes, type[Exception]]] = [
        (camt054(entry(("TB-CNY-20261202-1-999", "3.00"))), InstructionNotFound),
        (camt054(entry(("", "3.00"))), InstructionNotFound),
        (camt054(entry((name, "3.01"))), InvalidConfirmation),
        (camt054(entry((name, "3,00"))), InvalidConfirmation),
        (camt054(entry((name, "3.00"), currency="EUR")), InvalidConfirmation),
        (camt054(entry((name, "3.00"), status="PDNG")), InvalidConfirmation),
        (camt054(entry((name, "3.00")), account="FR7630006000011234567890189"), InvalidConfirmation),  # of a stranger
        (camt054(entry((name, "3.00")), account=IBANS["provider-1"]), InvalidConfirmation),
        (camt054(entry((name, "3.00")), account=""), InvalidConfirmation),
        (camt054(entry((name, "3.00"), creditor=IBANS["provider-2"])), InvalidConfirmation),
        (camt054(entry((name, "3.00"), reversal="1")), InvalidConfirmation),
        (camt054(entry((name, "3.00"), side_of_payment="CRDT")), InvalidConfirmation),
        (camt054(entry((name.lower(), "3.00"))), InstructionNotFound),
        (HEADER + name.encode() + b",confirmed,,CNY,,\r\n", InvalidConfirmation),
        (HEADER + name.encode() + b"\0,confirmed,3.00,CNY,,\r\n", DomainError),
    ]
    for content, error in forged:
        with pytest.raises(error):
            take(content)
    assert (Transaction.objects.count(), ConfirmationImport.objects.count()) == (before, 0)
    assert books(paying, "provider-1") == (OPENING, 3_000_000)


def test_a_mixed_file_counts_item_by_item(paying: PaymentDay) -> None:
    payments = paying.sent(("provider-1", 3_000_000), ("provider-2", 2_000_000), ("buyer-1", 1_000_000))
    first, second, third = (payments[code].end_to_end_id for code in ("provider-1", "provider-2", "buyer-1"))
    content = camt054(
        entry((first, "3.00"), ("nobody", "1.00")), entry((second, "2.50")), entry((first, "3.00")), entry((third, "1"))
    )
    imported = take(content)
    assert codes(imported) == [
        (first, "confirmed"),
        ("nobody", "instruction_not_found"),
        (second, "invalid_confirmation"),
        (first, "wrong_instruction_state"),
        (third, "confirmed"),
    ]
    assert take(content) == imported
    assert [books(paying, code) for code in ("provider-1", "provider-2", "buyer-1")] == [
        (OPENING - 3_000_000, 0),
        (OPENING, 2_000_000),
        (OPENING - 1_000_000, 0),
    ]
    with pytest.raises(WrongInstructionState) as refused:  # the same payment in another file
        take(camt054(entry((first, "3.00")), namespace="urn:iso:std:iso:20022:tech:xsd:camt.054.001.10"))
    assert refused.value.fields["items"][0]["end_to_end_id"] == first
    assert findings(audit_but_lines()) == {}


def test_a_payment_that_was_not_exported_is_not_confirmed(paying: PaymentDay) -> None:
    paying.accounts()
    paying.run(("provider-1", 3_000_000))
    (payment,) = paying.instruct(paying.net()).instructions
    for about in (entry((payment.end_to_end_id, "3")), entry((payment.end_to_end_id, "3"), side="CRDT", returned="X")):
        with pytest.raises(WrongInstructionState):
            take(camt054(about))


def test_one_file_in_many_hands_is_taken_once(paying: PaymentDay) -> None:
    payments = paying.sent(("provider-1", 3_000_000), ("provider-2", 2_000_000))
    content = camt054(*(entry((each.end_to_end_id, f"{each.micros // 1_000_000}.00")) for each in payments.values()))
    found: list[int] = []

    def attempt() -> None:
        try:
            found.append(take(content).pk)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert books(paying, "provider-1") == (OPENING - 3_000_000, 0)
    assert books(paying, "provider-2") == (OPENING - 2_000_000, 0)


def test_the_database_keeps_a_payments_life_in_order(paying: PaymentDay) -> None:
    payments = paying.sent(("provider-1", 3_000_000))
    name = payments["provider-1"].end_to_end_id
    take(camt054(entry((name, "3.00"))))
    row = PaymentInstruction.objects.filter(end_to_end_id=name)
    with pytest.raises(IntegrityError, match="cannot become exported"), transaction.atomic():
        row.update(state=InstructionState.EXPORTED, paid_transaction_id=None)


def test_an_account_with_a_payment_on_its_way_stays_open(paying: PaymentDay) -> None:
    paying.sent(("provider-1", 3_000_000))
    with pytest.raises(AccountNotEmpty):
        close_account(
            AccountKey(paying.party("provider-1").pk, paying.day.currency_id, Role.CASH),
            reason="gone", actor=FIRST, now=NOW,
        )  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE settlement_paymentinstruction SET micros = micros + 1",
        "UPDATE settlement_paymentinstruction SET paid_transaction_id = hold_transaction_id",
        "UPDATE settlement_paymentinstruction SET end_to_end_id = end_to_end_id || 'x'",
        "UPDATE settlement_paymentinstruction SET state = 'exported', paid_transaction_id = NULL",
    ],
)
def test_a_payment_that_is_not_what_was_posted_is_found(
    paying: PaymentDay, database: DatabaseUrls, change: str
) -> None:
    payments = paying.sent(("provider-1", 3_000_000))
    take(camt054(entry((payments["provider-1"].end_to_end_id, "3.00"))))
    assert findings(audit_but_lines()) == {}
    tamper(database, change)
    assert "settlement.netting" in found_by(audit_but_lines())


def test_a_value_date_is_its_currencys(paying: PaymentDay) -> None:
    paying.run(("provider-1", 3_000_000))
    with pytest.raises(Exception, match="no currency"):
        make_netting_set("EUR", VALUE_DATE, actor=FIRST, now=NOW)
    with pytest.raises(Exception, match="no netting set"):
        create_instructions(99, actor=FIRST, now=NOW)
