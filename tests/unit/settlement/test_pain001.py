"""Payment files: the elements in the order the schema wants, exact figures, and the same bytes every time."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from defusedxml.ElementTree import fromstring

from settlement.payments.errors import InvalidPayoutAccount
from settlement.payments.iban import check_bic, check_holder, check_iban
from settlement.payments.pain001 import NAMESPACE, BankAccount, CreditTransfer, PaymentOrder, write_pain001
from settlement.payments.payment_csv import PAYMENT_COLUMNS, write_payment_csv

NAMES = {"n": NAMESPACE}
HOUSE = BankAccount("Tokenbourse", "DE75512108001245126199", "DEUTDEFF")
ORDER = PaymentOrder(
    message_id="TB-CNY-20261202-1-F1",
    created_at=datetime(2026, 12, 2, 6, 0, 7, tzinfo=UTC),
    currency="CNY",
    value_date=date(2026, 12, 2),
    debtor=HOUSE,
    transfers=(
        CreditTransfer(
            "TB-CNY-20261202-1-4", "12.50", BankAccount("Grid & Sons <GmbH>", "GB82WEST12345698765432", ""), "one"
        ),
        CreditTransfer(
            "TB-CNY-20261202-1-5", "0.01", BankAccount("Müller 算力", "FR1420041010050500013M02606", "BNPAFRPP"), "two"
        ),
    ),
    total="12.51",
)


def test_the_document_says_what_is_to_be_paid() -> None:
    root = fromstring(write_pain001(ORDER))
    assert root.tag == f"{{{NAMESPACE}}}Document"

    def texts(path: str) -> list[str | None]:
        return [found.text for found in root.findall(f"n:CstmrCdtTrfInitn/{path}", NAMES)]

    assert texts("n:GrpHdr/n:CreDtTm") == ["2026-12-02T06:00:07Z"]
    assert texts("n:GrpHdr/n:NbOfTxs") == texts("n:PmtInf/n:NbOfTxs") == ["2"]
    assert texts("n:GrpHdr/n:CtrlSum") == texts("n:PmtInf/n:CtrlSum") == ["12.51"]
    transfers = "n:PmtInf/n:CdtTrfTxInf"
    amounts = texts(f"{transfers}/n:Amt/n:InstdAmt")
    assert sum(Decimal(amount or "") for amount in amounts) == Decimal("12.51")
    assert texts(f"{transfers}/n:PmtId/n:EndToEndId") == ["TB-CNY-20261202-1-4", "TB-CNY-20261202-1-5"]
    assert texts(f"{transfers}/n:Cdtr/n:Nm") == ["Grid & Sons <GmbH>", "Müller 算力"]
    assert texts(f"{transfers}/n:CdtrAcct/n:Id/n:IBAN") == ["GB82WEST12345698765432", "FR1420041010050500013M02606"]
    assert texts(f"{transfers}/n:CdtrAgt/n:FinInstnId/n:BICFI") == ["BNPAFRPP"]
    assert texts("n:PmtInf/n:ReqdExctnDt/n:Dt") == ["2026-12-02"]


def test_elements_stand_in_the_order_of_the_schema() -> None:
    root = fromstring(write_pain001(ORDER))

    def names(path: str) -> list[str]:
        found = root.find(f"n:CstmrCdtTrfInitn{path}", NAMES)
        return [child.tag.rpartition("}")[2] for child in found] if found is not None else []

    assert names("") == ["GrpHdr", "PmtInf"]
    assert names("/n:GrpHdr") == ["MsgId", "CreDtTm", "NbOfTxs", "CtrlSum", "InitgPty"]
    assert names("/n:PmtInf")[:10] == [
        "PmtInfId", "PmtMtd", "BtchBookg", "NbOfTxs", "CtrlSum", "ReqdExctnDt", "Dbtr", "DbtrAcct", "DbtrAgt", "ChrgBr",
    ]  # fmt: skip
    assert names("/n:PmtInf/n:CdtTrfTxInf[2]") == ["PmtId", "Amt", "CdtrAgt", "Cdtr", "CdtrAcct", "RmtInf"]


@pytest.mark.parametrize("write", [write_pain001, write_payment_csv])
def test_the_same_payments_give_the_same_bytes(write: Callable[[PaymentOrder], bytes]) -> None:
    assert write(ORDER) == write(replace(ORDER))
    assert write(ORDER) != write(replace(ORDER, currency="EUR"))


def test_a_row_a_payment() -> None:
    rows = list(csv.DictReader(io.StringIO(write_payment_csv(ORDER).decode(), newline="")))
    assert tuple(rows[0]) == PAYMENT_COLUMNS
    assert [(row["amount"], row["creditor"], row["debtor_iban"]) for row in rows] == [
        ("12.50", "Grid & Sons <GmbH>", HOUSE.iban),
        ("0.01", "Müller 算力", HOUSE.iban),
    ]


@pytest.mark.parametrize("text", ["GB82 WEST 1234 5698 7654 32", "fr1420041010050500013m02606", HOUSE.iban])
def test_ibans_with_right_check_digits(text: str) -> None:
    assert check_iban(text) == text.replace(" ", "").upper()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "GB82WEST12345698765423",
        "GB83WEST12345698765432",
        "82GBWEST12345698765432",
        "GB82",
        "ＧB82WEST12345698765432",
    ],
)
def test_wrong_ibans(text: str) -> None:
    with pytest.raises(InvalidPayoutAccount):
        check_iban(text)


@pytest.mark.parametrize("text", ["DEUT", "DEUTDEFF5", "DEUTDEFF5000", "1EUTDEFF", "DEUT-EFF"])
def test_wrong_bics(text: str) -> None:
    with pytest.raises(InvalidPayoutAccount):
        check_bic(text)


@pytest.mark.parametrize("text", ["", "  ", "=1+1", "-5", "@SUM(A1)", "a\0b", "a\u202eb", "a" * 71])
def test_holders_that_a_bank_or_a_spreadsheet_would_stumble_over(text: str) -> None:
    with pytest.raises(InvalidPayoutAccount):
        check_holder(text)


def test_good_names_stay() -> None:
    assert (check_bic(" deutdeff "), check_bic(""), check_holder(" Grid  Compute\t1 ")) == (
        "DEUTDEFF",
        "",
        "Grid Compute 1",
    )
