"""Payments and what became of them as CSV (RFC 4180), for banks and treasuries without ISO 20022. Pure."""

from __future__ import annotations

import csv
import io

from settlement.payments.advice import Advice, Told
from settlement.payments.errors import InvalidConfirmation
from settlement.payments.pain001 import PaymentOrder

PAYMENT_COLUMNS = (
    "end_to_end_id", "amount", "currency", "value_date", "creditor", "creditor_iban", "creditor_bic", "debtor_iban",
    "remittance",
)  # fmt: skip
CONFIRMATION_COLUMNS = ("end_to_end_id", "status", "amount", "currency", "bank_reference", "reason")


def write_payment_csv(order: PaymentOrder) -> bytes:
    """A row a payment under a header, UTF-8, lines ended by CR LF."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(PAYMENT_COLUMNS)
    for transfer in order.transfers:
        rows.writerow(
            [
                transfer.end_to_end_id,
                transfer.amount,
                order.currency,
                order.value_date.isoformat(),
                transfer.creditor.holder,
                transfer.creditor.iban,
                transfer.creditor.bic,
                order.debtor.iban,
                transfer.remittance,
            ]
        )
    return text.getvalue().encode()


def read_confirmation_csv(content: bytes) -> list[Advice]:
    """Rows under the header `end_to_end_id,status,amount,currency,bank_reference,reason`, status confirmed or returned.

    Raises `InvalidConfirmation` for anything else.
    """
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidConfirmation(f"The file is neither XML nor CSV in UTF-8: {error}.") from None
    if not rows or tuple(rows[0]) != CONFIRMATION_COLUMNS:
        raise InvalidConfirmation(f"The first line of a CSV is {','.join(CONFIRMATION_COLUMNS)}.")
    return [_advice(number, row) for number, row in enumerate(rows[1:], start=2) if row]


def _advice(number: int, row: list[str]) -> Advice:
    if len(row) != len(CONFIRMATION_COLUMNS):
        raise InvalidConfirmation(f"Line {number} has {len(row)} fields, not {len(CONFIRMATION_COLUMNS)}.", line=number)
    end_to_end_id, status, amount, currency, bank_reference, reason = row
    if status not in (Told.CONFIRMED, Told.RETURNED):
        raise InvalidConfirmation(f"Line {number}: the status is confirmed or returned.", line=number)
    return Advice(
        Told(status),
        end_to_end_id=end_to_end_id,
        amount=amount,
        currency=currency,
        bank_reference=bank_reference,
        reason=reason,
    )
