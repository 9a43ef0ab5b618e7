"""Credit transfers as a bank takes them: ISO 20022 pain.001.001.09. Pure: the same payments, the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from xml.sax.saxutils import escape

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"


@dataclass(frozen=True, slots=True)
class BankAccount:
    """Whose account, and where. An empty `bic` leaves finding the bank to the IBAN."""

    holder: str
    iban: str
    bic: str


@dataclass(frozen=True, slots=True)
class CreditTransfer:
    """One payment; `amount` is a decimal string with the currency's own digits."""

    end_to_end_id: str
    amount: str
    creditor: BankAccount
    remittance: str


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """What one file asks the bank for, on one day, out of one account. `total` is the sum of the amounts."""

    message_id: str
    created_at: datetime
    currency: str
    value_date: date
    debtor: BankAccount
    transfers: Sequence[CreditTransfer]
    total: str


def write_pain001(order: PaymentOrder) -> bytes:
    """The document, UTF-8, an element a line, without anything that depends on when or where it is written."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<Document xmlns="{NAMESPACE}">', "<CstmrCdtTrfInitn>"]
    lines += _header(order)
    lines += ["<PmtInf>", *_payment_information(order)]
    for transfer in order.transfers:
        lines += _transfer(transfer, order.currency)
    lines += ["</PmtInf>", "</CstmrCdtTrfInitn>", "</Document>", ""]
    return "\n".join(lines).encode()


def _header(order: PaymentOrder) -> list[str]:
    created = order.created_at.astimezone(UTC)
    return [
        "<GrpHdr>",
        _element("MsgId", order.message_id),
        _element("CreDtTm", f"{created:%Y-%m-%dT%H:%M:%S}Z"),
        _element("NbOfTxs", str(len(order.transfers))),
        _element("CtrlSum", order.total),
        f"<InitgPty>{_element('Nm', order.debtor.holder)}</InitgPty>",
        "</GrpHdr>",
    ]


def _payment_information(order: PaymentOrder) -> list[str]:
    return [
        _element("PmtInfId", order.message_id),
        _element("PmtMtd", "TRF"),
        _element("BtchBookg", "false"),
        _element("NbOfTxs", str(len(order.transfers))),
        _element("CtrlSum", order.total),
        f"<ReqdExctnDt>{_element('Dt', order.value_date.isoformat())}</ReqdExctnDt>",
        f"<Dbtr>{_element('Nm', order.debtor.holder)}</Dbtr>",
        f"<DbtrAcct>{_account(order.debtor)}</DbtrAcct>",
        f"<DbtrAgt>{_agent(order.debtor)}</DbtrAgt>",
        _element("ChrgBr", "SHAR"),
    ]


def _transfer(transfer: CreditTransfer, currency: str) -> list[str]:
    return [
        "<CdtTrfTxInf>",
        f"<PmtId>{_element('EndToEndId', transfer.end_to_end_id)}</PmtId>",
        f'<Amt><InstdAmt Ccy="{escape(currency)}">{escape(transfer.amount)}</InstdAmt></Amt>',
        *([f"<CdtrAgt>{_agent(transfer.creditor)}</CdtrAgt>"] if transfer.creditor.bic else []),
        f"<Cdtr>{_element('Nm', transfer.creditor.holder)}</Cdtr>",
        f"<CdtrAcct>{_account(transfer.creditor)}</CdtrAcct>",
        f"<RmtInf>{_element('Ustrd', transfer.remittance)}</RmtInf>",
        "</CdtTrfTxInf>",
    ]


def _account(account: BankAccount) -> str:
    return f"<Id>{_element('IBAN', account.iban)}</Id>"


def _agent(account: BankAccount) -> str:
    named = _element("BICFI", account.bic) if account.bic else f"<Othr>{_element('Id', 'NOTPROVIDED')}</Othr>"
    return f"<FinInstnId>{named}</FinInstnId>"


def _element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"
