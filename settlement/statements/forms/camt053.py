"""A statement as ISO 20022 camt.053.001.08 (BankToCustomerStatementV08), for accounting systems. Unsigned.

Amounts of the message have the currency's minor units, as ISO 20022 demands. It is the running balance that is rounded,
half up, and an entry is the difference of two rounded balances: opening balance and booked entries give the closing
balance exactly, and no rounding adds up. The exact amounts with six fraction digits, and the digest of the core, stand
in the supplementary data, under a namespace of ours.

Entries are the statement's lines, in their order, and after them what else moved on the account, by kind. Lines that
nothing was posted for (an indicative run's) have status INFO and count in no balance. The message is dated with the end
of the run's period: it follows from the core alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from ledger.money import MICROS_PER_UNIT, format_micros, parse_micros
from settlement.statements.content import LINE, stated_digest
from settlement.statements.wording import describe_line, describe_movement

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
OWN_NAMESPACE = "urn:tokenbourse:statement"
SERVICER = "Tokenbourse"
MINOR_DIGITS = 2  # of a statement that does not say
_TOGETHER = 500  # entries in one piece
_LATER = "adjustment"  # the kind under which a later run's changes move
_DISPUTE, _DISPUTES = "dispute_settle", "dispute/"  # the same of decided disputes, and what their references begin with


@dataclass(slots=True)
class _Running:
    """The exact balance so far."""

    micros: int
    unit: int  # micros of a minor unit

    def move(self, micros: int) -> int:
        """Book an exact amount; gives the micros, whole minor units, that the message shows for it."""
        before = self.rounded
        self.micros += micros
        return self.rounded - before

    @property
    def rounded(self) -> int:
        return _rounded(self.micros, self.unit)


def camt053(core: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """The message, in pieces."""
    writer = _Writer(core)
    yield writer.head().encode()
    pieces: list[str] = []
    for entry in writer.entries(records):
        pieces.append(entry)
        if len(pieces) == _TOGETHER:
            yield "".join(pieces).encode()
            pieces.clear()
    yield ("".join(pieces) + writer.tail()).encode()


class _Writer:
    """Writes the message of one statement."""

    def __init__(self, core: Mapping[str, Any]) -> None:
        self.core = core
        self.digest = stated_digest(core)
        self.digits = min(int(core.get("minor_unit", MINOR_DIGITS)), 5)  # the schema allows five
        self.unit = MICROS_PER_UNIT // 10**self.digits
        self.period = core["run"]["period"]
        self.booked_on = self.period["end"][:10]
        self.value_date = core.get("netting", {}).get("value_date", self.booked_on)

    def head(self) -> str:
        """Everything before the first entry."""
        core, balances = self.core, self.core["balances"]
        identification, created = self.digest[:32], self.period["end"]
        sequence = f"<ElctrncSeqNb>{core['sequence']}</ElctrncSeqNb>" if "sequence" in core else ""
        opening, closing = balances["opening"]["amount"], balances["closing"]["amount"]
        note = f"Unsigned copy of statement {core['statement_id']}. SHA-256 of its core: {self.digest}"
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Document xmlns={quoteattr(NAMESPACE)}><BkToCstmrStmt>\n"
            f"<GrpHdr><MsgId>{identification}</MsgId><CreDtTm>{created}</CreDtTm>"
            f"<AddtlInf>{_text(note, 500)}</AddtlInf></GrpHdr>\n"
            f"<Stmt><Id>{identification}</Id>{sequence}<CreDtTm>{created}</CreDtTm>"
            f"<FrToDt><FrDtTm>{self.period['start']}</FrDtTm><ToDtTm>{self.period['end']}</ToDtTm></FrToDt>\n"
            f"<Acct><Id><Othr><Id>{_text(core['party'], 34)}</Id></Othr></Id><Ccy>{_text(core['currency'], 3)}</Ccy>"
            f"<Ownr><Nm>{_text(core['party'], 140)}</Nm></Ownr>"
            f"<Svcr><FinInstnId><Nm>{SERVICER}</Nm></FinInstnId></Svcr></Acct>\n"
            f"{self._balance('OPBD', opening, self.period['start'])}"
            f"{self._balance('CLBD', closing, self.period['end'])}"
            f"{self._balance('CLAV', balances['available'], self.period['end'])}"
        )

    def entries(self, records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
        """An entry for each line, then what the lines leave of each kind of movement."""
        balances = self.core["balances"]
        running = _Running(parse_micros(balances["opening"]["amount"]), self.unit)
        left: dict[str, int] = defaultdict(int)
        for movement in balances["movements"]:
            left[movement["kind"]] += parse_micros(movement["amount"])
        moved = frozenset(left)
        for record in records:
            if record["record"] != LINE:
                continue
            body, micros = record["body"], int(parse_micros(record["body"]["amount"]))
            if "journal" not in body:
                yield self._line(record["number"], body, micros, _rounded(micros, self.unit), "INFO")
                continue
            left[_movement_of(body["journal"], moved)] -= micros
            yield self._line(record["number"], body, micros, running.move(micros), "BOOK")
        for kind, micros in sorted(left.items()):
            if micros:
                shown = running.move(micros)
                details = self._details(shown, describe_movement(kind), {}, micros)
                yield self._entry(f"movement/{kind}", shown, "BOOK", kind, details)

    def tail(self) -> str:
        """Everything after the last entry."""
        core, balances = self.core, self.core["balances"]
        exact = {
            "core_sha256": self.digest,
            "statement_id": core["statement_id"],
            "records_root": core["records"]["root"],
            "opening": balances["opening"]["amount"],
            "closing": balances["closing"]["amount"],
            "held": balances["held"],
            "available": balances["available"],
        }
        return (
            f"<AddtlStmtInf>{_text(core['notice']['text'], 500)}</AddtlStmtInf></Stmt>\n"
            f"<SplmtryData><Envlp>{_own('statement', exact)}</Envlp></SplmtryData></BkToCstmrStmt></Document>\n"
        )

    def _line(self, number: int, body: Mapping[str, Any], micros: int, shown: int, status: str) -> str:
        words = f"{describe_line(body['kind'])}, {body['contract']}"
        members = ("contract", "kind", "counterparty", "beneficiary", "tokens", "price", "value")
        about = {name: str(body[name]) for name in members if name in body}
        if "journal" in body:
            about["journal"] = f"{body['journal']['source']}:{body['journal']['reference']}"
        details = self._details(shown, words, about, micros)
        return self._entry(str(number), shown, status, body["kind"], details)

    def _entry(self, reference: str, shown: int, status: str, kind: str, details: str) -> str:
        return (
            f"<Ntry><NtryRef>{_text(reference, 35)}</NtryRef>{self._amount(shown)}<Sts><Cd>{status}</Cd></Sts>"
            f"<BookgDt><Dt>{self.booked_on}</Dt></BookgDt><ValDt><Dt>{self.value_date}</Dt></ValDt>"
            f"<BkTxCd><Prtry><Cd>{_text(kind, 35)}</Cd><Issr>{SERVICER}</Issr></Prtry></BkTxCd>{details}</Ntry>\n"
        )

    def _details(self, shown: int, words: str, about: Mapping[str, str], micros: int) -> str:
        exact = _own("entry", {**about, "amount": format_micros(micros)})
        return (
            f"<NtryDtls><TxDtls>{self._amount(shown)}<AddtlTxInf>{_text(words, 500)}</AddtlTxInf>"
            f"<SplmtryData><Envlp>{exact}</Envlp></SplmtryData></TxDtls></NtryDtls>"
        )

    def _balance(self, kind: str, amount: str, at: str) -> str:
        shown = self._amount(_rounded(parse_micros(amount), self.unit))
        return f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>{shown}<Dt><DtTm>{at}</DtTm></Dt></Bal>\n"

    def _amount(self, micros: int) -> str:
        """Micros that are whole minor units, as amount and direction."""
        whole, fraction = divmod(abs(micros) // self.unit, 10**self.digits)
        digits = f"{whole}.{fraction:0{self.digits}d}" if self.digits else str(whole)
        direction = "DBIT" if micros < 0 else "CRDT"
        return f"<Amt Ccy={quoteattr(self.core['currency'])}>{digits}</Amt><CdtDbtInd>{direction}</CdtDbtInd>"


def _movement_of(journal: Mapping[str, str], moved: Container[str]) -> str:
    """The kind of movement that a line's posting is part of."""
    if journal["reference"].startswith(_DISPUTES):
        return _DISPUTE
    later = journal["reference"].endswith(f"/{_LATER}")
    return journal["ref"] if journal.get("ref") in moved and not later else _LATER


def _rounded(micros: int, unit: int) -> int:
    """To whole minor units, halves up."""
    return (2 * micros + unit) // (2 * unit) * unit


def _own(name: str, members: Mapping[str, str]) -> str:
    inside = "".join(f"<{member}>{_text(text)}</{member}>" for member, text in members.items())
    return f"<{name} xmlns={quoteattr(OWN_NAMESPACE)}>{inside}</{name}>"


def _text(text: str, most: int | None = None) -> str:
    """A text as XML content: cut to what its element takes, without characters that XML does not know."""
    known = "".join(character for character in text if character >= " ")
    return escape(known[:most])
