"""What banks say in ISO 20022: camt.054 (what was booked) and pain.002 (what became of an order), the parts we need.

| Message | Says | Means |
|---|---|---|
| camt.054 | booked debit | paid |
| camt.054 | booked credit that reverses one or tells why it is returned | returned |
| pain.002 | ACSC, ACCC | paid |
| pain.002 | RJCT of a payment, of a payment information block or of the whole order | returned |

A payment inside an entry of the other side is none of a batch of ours, and counts only if it tells why it is returned.
Entries of other kinds and other states say nothing that changes a payment. Documents with a DTD, entities or external
references are refused before they are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from settlement.payments.advice import Advice, Told
from settlement.payments.errors import InvalidConfirmation

SETTLED = frozenset({"ACSC", "ACCC"})
REJECTED = "RJCT"
MISSING = "NOTPROVIDED"
_PREFIX = "urn:iso:std:iso:20022:tech:xsd:"


def read_bank_xml(content: bytes) -> list[Advice]:
    """What the document says, in its order. Raises `InvalidConfirmation`."""
    try:
        root = fromstring(content, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    except DefusedXmlException as error:
        raise InvalidConfirmation(f"The document has a DTD or entities, which banks' do not: {error}.") from None
    except (ParseError, ValueError, LookupError) as error:  # the last two: an encoding that nobody knows
        raise InvalidConfirmation(f"The document is not well-formed XML: {error}.") from None
    namespace, _, name = root.tag.rpartition("}")
    message = namespace.removeprefix("{").removeprefix(_PREFIX)
    if name == "Document" and message.startswith("camt.054.001."):
        return list(_camt054(root))
    if name == "Document" and message.startswith("pain.002.001."):
        return list(_pain002(root))
    raise InvalidConfirmation("The document is neither a camt.054 nor a pain.002.", found=root.tag[:120])


def _camt054(root: Element) -> Iterator[Advice]:
    for notification in _all(root, "BkToCstmrDbtCdtNtfctn", "Ntfctn"):
        account = _iban(notification, "Acct")
        for entry in _all(notification, "Ntry"):
            booked = (_text(entry, "Sts", "Cd") or _text(entry, "Sts")) == "BOOK"
            details = _all(entry, "NtryDtls", "TxDtls")
            for detail in details:
                amount, currency = _amount(detail) or (_amount(entry) if len(details) == 1 else None) or ("", "")
                yield Advice(
                    _told_by(entry, detail) if booked else Told.PENDING,
                    end_to_end_id=_text(detail, "Refs", "EndToEndId"),
                    amount=amount,
                    currency=currency,
                    bank_reference=_text(detail, "Refs", "AcctSvcrRef") or _text(entry, "AcctSvcrRef"),
                    reason=_reason(detail, "RtrInf"),
                    account=account,
                    creditor=_iban(detail, "RltdPties", "CdtrAcct"),
                )


def _told_by(entry: Element, detail: Element) -> Told:
    """What a booked payment of an entry is; the side of its own counts before the entry's.

    A debit that is itself a reversal gives back what came in, which is no payment of ours; and money that comes in is
    one of ours only if it reverses the booking or tells why it is returned.
    """
    reversal = _text(entry, "RvslInd") in ("true", "1")
    of_entry = _text(entry, "CdtDbtInd")
    side = _text(detail, "CdtDbtInd") or of_entry
    if side == "DBIT":
        return Told.PENDING if reversal or side != of_entry else Told.CONFIRMED
    comes_back = bool(_all(detail, "RtrInf")) or (reversal and side == of_entry)
    return Told.RETURNED if side == "CRDT" and comes_back else Told.PENDING


def _pain002(root: Element) -> Iterator[Advice]:
    (report,) = _all(root, "CstmrPmtStsRpt")[:1] or (root,)
    message_id = _text(report, "OrgnlGrpInfAndSts", "OrgnlMsgId")
    blocks = _all(report, "OrgnlPmtInfAndSts")
    if _text(report, "OrgnlGrpInfAndSts", "GrpSts") == REJECTED:
        for group in _all(report, "OrgnlGrpInfAndSts"):
            yield Advice(Told.RETURNED, message_id=message_id, reason=_reason(group, "StsRsnInf"))
        return
    for block in blocks:
        if _text(block, "PmtInfSts") == REJECTED:
            yield Advice(Told.RETURNED, message_id=message_id, reason=_reason(block, "StsRsnInf"))
            continue
        for payment in _all(block, "TxInfAndSts"):
            status = _text(payment, "TxSts")
            told = Told.RETURNED if status == REJECTED else Told.CONFIRMED if status in SETTLED else Told.PENDING
            amount, currency = _amount(payment, "OrgnlTxRef") or (None, None)
            yield Advice(
                told,
                end_to_end_id=_text(payment, "OrgnlEndToEndId"),
                amount=amount,
                currency=currency,
                bank_reference=_text(payment, "AcctSvcrRef"),
                reason=_reason(payment, "StsRsnInf"),
                creditor=_iban(payment, "OrgnlTxRef", "CdtrAcct"),
            )


def _amount(element: Element, *path: str) -> tuple[str, str] | None:
    """The amount and its currency, wherever versions of the message put it."""
    for names in (("Amt",), ("AmtDtls", "TxAmt", "Amt"), ("Amt", "InstdAmt")):
        for found in _all(element, *path, *names):
            if found.get("Ccy"):
                return (found.text or "").strip(), found.get("Ccy", "")
    return None


def _iban(element: Element, *path: str) -> str:
    """An account, written in whichever groups."""
    return _text(element, *path, "Id", "IBAN").replace(" ", "").upper()


def _reason(element: Element, name: str) -> str:
    """The code of a reason, and what was added in words."""
    said = []
    for found in _all(element, name):
        said.append(_text(found, "Rsn", "Cd") or _text(found, "Rsn", "Prtry"))
        said += [(words.text or "").strip() for words in _all(found, "AddtlInf")]
    return " ".join(word for word in said if word)


def _text(element: Element, *path: str) -> str:
    found = _all(element, *path)
    return (found[0].text or "").strip() if found else ""


def _all(element: Element, *path: str) -> list[Element]:
    """Elements below, by their names in whatever version of the namespace."""
    found = [element]
    for name in path:
        found = [child for parent in found for child in parent if child.tag.rpartition("}")[2] == name]
    return found
