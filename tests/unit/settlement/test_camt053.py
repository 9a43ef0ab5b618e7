"""camt.053.001.08: the order of its elements as the standard has it, and money that is the statement's.

The order is written down here from the message definition (AccountStatement9, ReportEntry10 and what they hold), as far
as our messages use it.
"""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from defusedxml.ElementTree import fromstring

from ledger.money import format_micros, parse_micros
from settlement.statements.canonical import canonical_digest
from settlement.statements.content import open_statement, parse_records
from settlement.statements.forms.camt053 import NAMESPACE, OWN_NAMESPACE, camt053
from tests.unit.settlement.sample_statements_v2 import OPENING, Sample, line, sample
from tests.unit.settlement.test_readable import first_form

Element = "xml.etree.ElementTree.Element"
# An element's children in the order of the message definition; those with a star may repeat, with a + must be there.
ORDER = {
    "Document": ["BkToCstmrStmt+"],
    "BkToCstmrStmt": ["GrpHdr+", "Stmt+*", "SplmtryData*"],
    "GrpHdr": ["MsgId+", "CreDtTm+", "MsgRcpt", "MsgPgntn", "OrgnlBizQry", "AddtlInf"],
    "Stmt": ["Id+", "StmtPgntn", "ElctrncSeqNb", "RptgSeq", "LglSeqNb", "CreDtTm", "FrToDt", "CpyDplctInd", "RptgSrc",
             "Acct+", "RltdAcct", "Intrst*", "Bal+*", "TxsSummry", "Ntry*", "AddtlStmtInf"],
    "FrToDt": ["FrDtTm+", "ToDtTm+"],
    "Acct": ["Id+", "Tp", "Ccy", "Nm", "Prxy", "Ownr", "Svcr"],
    "Bal": ["Tp+", "CdtLine*", "Amt+", "CdtDbtInd+", "Dt+", "Avlbty*"],
    "Tp": ["CdOrPrtry+", "SubTp"],
    "Ntry": ["NtryRef", "Amt+", "CdtDbtInd+", "RvslInd", "Sts+", "BookgDt", "ValDt", "AcctSvcrRef", "Avlbty*",
             "BkTxCd+", "ComssnWvrInd", "AddtlInfInd", "AmtDtls", "Chrgs", "TechInptChanl", "Intrst", "CardTx",
             "NtryDtls*", "AddtlNtryInf"],
    "BkTxCd": ["Domn", "Prtry"],
    "Prtry": ["Cd+", "Issr"],
    "NtryDtls": ["Btch", "TxDtls*"],
    "TxDtls": ["Refs", "Amt", "CdtDbtInd", "AmtDtls", "Avlbty*", "BkTxCd", "Chrgs", "Intrst", "RltdPties", "RltdAgts",
               "LclInstrm", "Purp", "RltdRmtInf*", "RmtInf", "RltdDts", "RltdPric", "RltdQties*", "FinInstrmId", "Tax",
               "RtrInf", "CorpActn", "SfkpgAcct", "CshDpst*", "CardTx", "AddtlTxInf", "SplmtryData*"],
    "SplmtryData": ["PlcAndNm", "Envlp+"],
}  # fmt: skip
CHOICES = {"CdOrPrtry": {"Cd", "Prtry"}, "Sts": {"Cd", "Prtry"}, "Dt": {"Dt", "DtTm"}, "BookgDt": {"Dt", "DtTm"},
           "ValDt": {"Dt", "DtTm"}}  # fmt: skip
LONGEST = {"MsgId": 35, "NtryRef": 35, "Issr": 35, "AddtlInf": 500, "AddtlStmtInf": 500, "AddtlTxInf": 500, "Nm": 140}
AMOUNT = re.compile(r"(0|[1-9]\d{0,12})\.\d{2}")


def message(statement: Sample) -> object:
    return fromstring(b"".join(camt053(statement.core, parse_records(statement.records))))


def name(element: object) -> str:
    tag: str = element.tag  # type: ignore[attr-defined]
    assert tag.startswith(f"{{{NAMESPACE}}}"), tag
    return tag.partition("}")[2]


def check_order(element: object) -> int:
    """The element and all in it stand as the message definition says; gives how many there are."""
    own = name(element)
    text = element.text or ""  # type: ignore[attr-defined]
    children = list(element)  # type: ignore[call-overload]
    if own == "Envlp":  # anything of another namespace
        assert all(child.tag.startswith(f"{{{OWN_NAMESPACE}}}") for child in children)
        return 1
    if own == "Amt":
        assert AMOUNT.fullmatch(text), text
        assert element.attrib == {"Ccy": "CNY"}  # type: ignore[attr-defined]
    assert len(text) <= LONGEST.get(own, 10_000)
    names = [name(child) for child in children]
    if own in CHOICES and children:
        assert len(names) == 1
        assert names[0] in CHOICES[own]
    elif own in ORDER and children:
        allowed = [each.rstrip("*+") for each in ORDER[own]]
        places = [allowed.index(each) for each in names]
        assert places == sorted(places), (own, names)
        repeated = {each for each in names if names.count(each) > 1}
        assert repeated <= {each.rstrip("*+") for each in ORDER[own] if "*" in each}, own
        assert {each.rstrip("*+") for each in ORDER[own] if "+" in each} <= set(names), own
    return 1 + sum(check_order(child) for child in children)


def find(element: object, path: str) -> list[object]:
    whole = "/".join(f"{{{NAMESPACE}}}{step}" for step in path.split("/"))
    found: list[object] = element.findall(whole)  # type: ignore[attr-defined]
    return found


def text(element: object, path: str) -> str:
    (found,) = find(element, path)
    value: str = found.text or ""  # type: ignore[attr-defined]
    return value


def signed(element: object) -> Decimal:
    """The amount of a balance or entry, with its direction."""
    return Decimal(text(element, "Amt")) * (-1 if text(element, "CdtDbtInd") == "DBIT" else 1)


def exact(element: object, member: str) -> str:
    """A member of our own data beside an entry or the message."""
    (found,) = element.findall(f".//{{{NAMESPACE}}}Envlp/*/{{{OWN_NAMESPACE}}}{member}")  # type: ignore[attr-defined]
    value: str = found.text
    return value


def balances(document: object) -> dict[str, Decimal]:
    return {text(each, "Tp/CdOrPrtry/Cd"): signed(each) for each in find(document, "BkToCstmrStmt/Stmt/Bal")}


def cents(amount: str) -> Decimal:
    """An exact amount as the minor units nearest to it, halves up."""
    micros = parse_micros(amount)
    return Decimal((2 * micros + 10_000) // 20_000) / 100


@pytest.mark.parametrize("kind", ["initial", "indicative"])
def test_elements_stand_in_the_order_of_the_standard(kind: str) -> None:
    assert check_order(message(sample(60, kind=kind))) > 600


@pytest.mark.parametrize("lines", [0, 1, 2, 333])
def test_balances_and_entries_are_the_statements(lines: int) -> None:
    statement = sample(lines)
    document = message(statement)
    stated = statement.core["balances"]
    told = balances(document)
    assert told == {
        "OPBD": cents(stated["opening"]["amount"]),
        "CLBD": cents(stated["closing"]["amount"]),
        "CLAV": cents(stated["available"]),
    }
    entries = find(document, "BkToCstmrStmt/Stmt/Ntry")
    assert told["OPBD"] + sum(map(signed, entries)) == told["CLBD"]
    exactly = [parse_micros(exact(entry, "amount")) for entry in entries]
    assert OPENING + sum(exactly) == parse_micros(stated["closing"]["amount"])
    assert sum(exactly[:lines]) == parse_micros(statement.core["totals"]["amount"])
    (whole,) = find(document, "BkToCstmrStmt/SplmtryData")
    for member in ("held", "available"):
        assert exact(whole, member) == stated[member]
    assert exact(whole, "opening") == stated["opening"]["amount"]
    assert exact(whole, "closing") == stated["closing"]["amount"]


def test_rounding_never_adds_up() -> None:
    """A thousand thirds of a cent make 3.33: each entry is within a cent of its exact amount, and their sum as well."""
    statement = sample((line(place, "delivered", 3_333) for place in range(1_000)), deposit=0)
    entries = find(message(statement), "BkToCstmrStmt/Stmt/Ntry")
    assert {signed(entry) for entry in entries} == {Decimal("0.00"), Decimal("0.01")}
    assert sum(map(signed, entries)) == cents(format_micros(OPENING + 3_333_000)) - cents(format_micros(OPENING))


def test_it_names_the_digest_and_what_moved_besides_the_lines() -> None:
    statement = sample(8)
    document = message(statement)
    digest = canonical_digest(statement.core).hex()
    assert digest in text(document, "BkToCstmrStmt/GrpHdr/AddtlInf")
    assert exact(find(document, "BkToCstmrStmt/SplmtryData")[0], "core_sha256") == digest
    *_, last = find(document, "BkToCstmrStmt/Stmt/Ntry")
    assert (text(last, "NtryRef"), exact(last, "amount")) == ("movement/deposit", "1000.000007")
    assert text(document, "BkToCstmrStmt/Stmt/ElctrncSeqNb") == "2"
    assert text(last, "ValDt/Dt") == "2026-12-02"


def test_lines_of_an_indicative_run_inform_and_move_no_balance() -> None:
    document = message(sample(8, kind="indicative"))
    statuses = [text(entry, "Sts/Cd") for entry in find(document, "BkToCstmrStmt/Stmt/Ntry")]
    assert statuses == ["INFO"] * 8 + ["BOOK"]
    assert balances(document)["CLBD"] - balances(document)["OPBD"] == Decimal("1000.00")
    assert not find(document, "BkToCstmrStmt/Stmt/ElctrncSeqNb")


def test_a_later_runs_changes_are_told_once() -> None:
    """Its lines name the posting that they change; on the account they moved as one adjustment."""
    change = line(0, "delivered", -500, reference="run/contract/buyer-1/provider-1/adjustment")
    decided = line(8, "dispute", 70, reference="dispute/7/settle", ref="dispute")
    statement = sample([line(4, "delivered", 1_000), change, decided], deposit=0)
    movements = [{"kind": "dispute_settle", "entries": 1, "amount": "0.000070"},
                 {"kind": "pay_provider", "entries": 1, "amount": "0.001000"},
                 {"kind": "adjustment", "entries": 1, "amount": "-0.000500"}]  # fmt: skip
    core = statement.core | {"balances": statement.core["balances"] | {"movements": movements}}
    assert len(find(message(Sample(core, statement.records)), "BkToCstmrStmt/Stmt/Ntry")) == 3


def test_texts_are_escaped_and_cut() -> None:
    statement = sample([line(0, "delivered", 1, counterparty="<&\x0c>", beneficiary='"')])
    core = statement.core | {"party": "p" * 60}
    document = message(Sample(core, statement.records))
    assert check_order(document)
    entry, _ = find(document, "BkToCstmrStmt/Stmt/Ntry")
    assert (exact(entry, "counterparty"), exact(entry, "beneficiary")) == ("<&>", '"')
    assert text(document, "BkToCstmrStmt/Stmt/Acct/Id/Othr/Id") == "p" * 34


def test_a_statement_of_the_first_form() -> None:
    content = open_statement(first_form())
    assert content.inside is not None
    document = fromstring(b"".join(camt053(content.core, content.inside)))
    check_order(document)
    entries = find(document, "BkToCstmrStmt/Stmt/Ntry")
    assert [exact(entry, "amount") for entry in entries] == ["0.000000", "0.025200"]  # nothing is left besides them
    assert balances(document) == {"OPBD": Decimal("1.00"), "CLBD": Decimal("1.03"), "CLAV": Decimal("1.02")}
