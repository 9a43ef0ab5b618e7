"""What is read from a bank's files, and the files that nobody should read."""

from __future__ import annotations

import random

import pytest

from settlement.payments.advice import Advice, Told
from settlement.payments.bank_xml import read_bank_xml
from settlement.payments.confirmations import MAX_ITEMS, read_advices
from settlement.payments.errors import InvalidConfirmation
from tests.unit.settlement.bank_files import OUR_ACCOUNT, camt054, entry, pain002

HEADER = b"end_to_end_id,status,amount,currency,bank_reference,reason\r\n"


def told(content: bytes) -> list[tuple[str, Told]]:
    return [(advice.end_to_end_id, advice.told) for advice in read_advices(content)]


def test_a_booked_debit_confirms_each_payment_of_the_entry() -> None:
    assert read_bank_xml(camt054(entry(("A", "1.50"), ("B", "2.00")))) == [
        Advice(Told.CONFIRMED, "A", amount="1.50", currency="CNY", bank_reference="B-A", account=OUR_ACCOUNT),
        Advice(Told.CONFIRMED, "B", amount="2.00", currency="CNY", bank_reference="B-B", account=OUR_ACCOUNT),
    ]


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        (entry(("A", "1"), status="PDNG"), Told.PENDING),
        (entry(("A", "1"), status="INFO"), Told.PENDING),
        (entry(("A", "1"), side="CRDT"), Told.PENDING),  # money of somebody else's that came in
        (entry(("A", "1"), side="CRDT", returned="AC04"), Told.RETURNED),
        (entry(("A", "1"), side="CRDT", reversal="true"), Told.RETURNED),
        (entry(("A", "1"), side="DBIT", reversal="true"), Told.PENDING),
        (entry(("A", "1"), side="CRDT", returned="AC04", status="PDNG"), Told.PENDING),
        (entry(("A", "1"), side="CRDT", reversal="1"), Told.RETURNED),
        (entry(("A", "1"), side="DBIT", reversal="1"), Told.PENDING),
        (entry(("A", "1"), side="DBIT", side_of_payment="CRDT"), Told.PENDING),  # in a batch of somebody else's
        (entry(("A", "1"), side="DBIT", side_of_payment="CRDT", reversal="true"), Told.PENDING),
        (entry(("A", "1"), side="DBIT", side_of_payment="CRDT", returned="AC04"), Told.RETURNED),
        (entry(("A", "1"), side="CRDT", side_of_payment="DBIT"), Told.PENDING),
        (entry(("A", "1"), side="DBIT", side_of_payment="DBIT"), Told.CONFIRMED),
        (entry(("A", "1"), side=""), Told.PENDING),
    ],
)
def test_only_what_is_booked_says_something(about: str, expected: Told) -> None:
    assert told(camt054(about)) == [("A", expected)]


def test_a_return_says_why() -> None:
    (advice,) = read_bank_xml(camt054(entry(("A", "1"), side="CRDT", returned="AC04")))
    assert advice.reason == "AC04 account closed"


def test_older_versions_put_status_and_amount_elsewhere() -> None:
    old = (
        '<Ntry><Amt Ccy="CNY">7.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>BOOK</Sts>'
        "<AcctSvcrRef>X</AcctSvcrRef><NtryDtls><TxDtls><Refs><EndToEndId>A</EndToEndId></Refs></TxDtls></NtryDtls></Ntry>"
    )
    namespace = "urn:iso:std:iso:20022:tech:xsd:camt.054.001.02"
    assert read_bank_xml(camt054(old, namespace=namespace)) == [
        Advice(Told.CONFIRMED, "A", amount="7.00", currency="CNY", bank_reference="X", account=OUR_ACCOUNT)
    ]
    two = old.replace("</NtryDtls>", "<TxDtls><Refs><EndToEndId>B</EndToEndId></Refs></TxDtls></NtryDtls>")
    assert [advice.amount for advice in read_bank_xml(camt054(two, namespace=namespace))] == ["", ""]


@pytest.mark.parametrize(
    ("status", "expected"),
    [("ACSC", Told.CONFIRMED), ("ACCC", Told.CONFIRMED), ("RJCT", Told.RETURNED), ("ACSP", Told.PENDING),
     ("ACCP", Told.PENDING), ("PDNG", Told.PENDING), ("", Told.PENDING), ("acsc", Told.PENDING)],
)  # fmt: skip
def test_a_status_report_confirms_what_is_settled_and_returns_what_is_rejected(status: str, expected: Told) -> None:
    assert told(pain002(("A", status))) == [("A", expected)]


@pytest.mark.parametrize("where", ["group", "block"])
def test_a_rejected_order_is_said_of_its_message(where: str) -> None:
    (advice,) = read_bank_xml(pain002(("A", "ACSC"), message_id="TB-1", **{where: "RJCT"}))
    assert (advice.told, advice.message_id, advice.end_to_end_id) == (Told.RETURNED, "TB-1", "")


EXTERNAL = '<!DOCTYPE Document [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
LAUGHS = (
    '<!DOCTYPE Document [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + level)} "{f"&{chr(97 + level)};" * 10}">' for level in range(12))
    + "]>"
)


@pytest.mark.parametrize(
    "content",
    [
        camt054(entry(("&x;", "1")), prolog=EXTERNAL),
        camt054(entry(("&m;", "1")), prolog=LAUGHS),
        camt054(entry(("A", "1")), prolog='<!DOCTYPE Document SYSTEM "http://127.0.0.1:9/evil.dtd">'),
        camt054(entry(("A", "1")), prolog='<!DOCTYPE Document [<!ENTITY % p SYSTEM "http://127.0.0.1:9/p"> %p;]>'),
        camt054(entry(("A", "1")), prolog="<!DOCTYPE Document [<!ATTLIST Amt Ccy CDATA #FIXED 'CNY'>]>"),
        camt054(entry(("A", "1")), prolog='<?xml version="1.0" encoding="utf-99"?>'),
        camt054(entry(("A", "1")))[:-5],
        camt054(entry(("A", "1")), namespace="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"),
        camt054(entry(("A", "1"))).replace(b"Document", b"Dokument"),
        camt054(),
        b"<",
        b"<a/>",
        b"<" * 100_000,
        b"<a>" * 200_000,
        b"\xff\xfe<\x00a\x00",
        b"",
        b"end_to_end_id\r\n",
        HEADER,
        HEADER + b"A,paid,1,CNY,,\r\n",
        HEADER + b"A,confirmed,1,CNY\r\n",
        HEADER + b'A,confirmed,"1,CNY,,\r\n',
        HEADER + b"\xff,confirmed,1,CNY,,\r\n",
        HEADER + b"A,confirmed,1,CNY,,\r\n" * (MAX_ITEMS + 1),
    ],
    ids=range(23),
)
def test_a_file_that_is_none_is_refused_by_its_code(content: bytes) -> None:
    with pytest.raises(InvalidConfirmation):
        read_advices(content)


def test_rows_of_a_csv() -> None:
    rows = HEADER + b'A,confirmed,1.50,CNY,B7,\r\n\r\nB,returned,2,CNY,,"closed, for good"\r\n'
    assert read_advices(b"\xef\xbb\xbf" + rows) == [
        Advice(Told.CONFIRMED, "A", amount="1.50", currency="CNY", bank_reference="B7"),
        Advice(Told.RETURNED, "B", amount="2", currency="CNY", reason="closed, for good"),
    ]


def test_spoilt_files_are_read_or_refused_and_nothing_else() -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    originals = [camt054(entry(("A", "1.50")), entry(("B", "1"), side="CRDT", returned="AC04")), pain002(("A", "RJCT"))]
    for _ in range(2_000):
        content = bytearray(dice.choice(originals))
        for _ in range(dice.randint(1, 6)):
            at = dice.randrange(len(content))
            act = dice.randrange(3)
            if act == 0:
                content[at] = dice.randrange(256)
            elif act == 1:
                del content[at : at + dice.randint(1, 40)]
            else:
                content[at:at] = bytes(content[at : at + dice.randint(1, 40)])
        try:
            read_advices(bytes(content))
        except InvalidConfirmation:
            continue
