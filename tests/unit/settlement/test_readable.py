from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from settlement.errors import InvalidStatement
from settlement.statements import document
from settlement.statements.readable import describe_line, read_statement
from settlement.statements.signing import Signer

START, END = datetime(2026, 12, 1, 14, tzinfo=UTC), datetime(2026, 12, 1, 15, tzinfo=UTC)
SYMBOLS = ("QWEN3-235B.CN-EAST.STD@20261201T14/1H", "QWEN3-235B.CN-EAST.STD@20261201T15/1H")


def line(contract: str, kind: str, **more: object) -> document.StatementLine:
    fixed = {"window_start": START, "window_end": END, "amount_micros": 0, "value_micros": 420_000}
    tax = {"tax_category": "standard", "tax_rate_ppm": 60_000}
    return document.StatementLine(contract=contract, kind=kind, **fixed | tax | more)  # type: ignore[arg-type]


def statement_file(**changes: object) -> str:
    core = document.StatementCore(
        party="buyer-1",
        currency="CNY",
        run=document.RunInfo("20261201T1400Z/60/initial", "initial", 1, START, END, bytes(32), "1"),
        chain=document.ChainLink(2, bytes(range(32))),
        balances=document.Balances(
            opening_micros=1_000_000,
            opening_seq=4,
            movements=(document.Movement("refund_unused", 1, 25_200), document.Movement("clearing", 2, -420_840)),
            closing_micros=604_360,
            closing_seq=7,
            held_micros=4_360,
        ),
        lines=[
            line(SYMBOLS[0], "delivered", tokens=80_000, price_micros=4_200_000, counterparty="provider-1"),
            line(SYMBOLS[0], "refund_unused", amount_micros=25_200, reference="r", source="settlement"),
            line(SYMBOLS[1], "something_new"),
        ],
        metering=[document.MeteringFigure(SYMBOLS[0], "provider-1", 80_000_500, 80_000_500, None, 5_000_000)],
        splits=[document.SplitFigure(SYMBOLS[0], "provider-1", "pay_provider", 3, "grid-compute", 125_000, 372_679)],
    )
    payload = document.statement_payload(document.statement_core(core), document.Annex(issued_at=END))
    return Signer(Ed25519PrivateKey.from_private_bytes(bytes(32))).sign(payload, signed_at=END).decode()


def test_a_statement_in_words() -> None:
    content = read_statement(statement_file())
    assert (content.party, content.currency, content.sequence) == ("buyer-1", "CNY", 2)
    assert content.previous_digest == bytes(range(32)).hex()
    assert (content.opening, content.closing, content.held, content.available) == (
        "1.000000",
        "0.604360",
        "0.004360",
        "0.600000",
    )
    assert [(movement.what, movement.amount) for movement in content.movements] == [
        ("Purchases and their fees", "-0.420840"),
        ("Refunds for unused tokens", "0.025200"),
    ]
    assert content.period_start == START
    assert content.signers == [Signer(Ed25519PrivateKey.from_private_bytes(bytes(32))).kid]


def test_its_lines_stand_by_contract_in_their_order() -> None:
    first, second = read_statement(statement_file()).contracts
    assert (first.contract, second.contract) == SYMBOLS
    assert [(each.number, each.what) for each in first.lines] == [
        (1, "Delivered tokens"),
        (2, "Refund for unused tokens"),
    ]
    assert (first.lines[0].tokens, first.lines[0].price, first.lines[0].tax) == ("80000", "4.200000", "standard 6 %")
    assert first.lines[1].reference == "r"
    assert second.lines[0].what == describe_line("something_new") == "something new"


def test_the_meters_figures_and_the_shares() -> None:
    content = read_statement(statement_file())
    (figure,), (split,) = content.metering, content.splits
    assert (figure.provider, figure.buyer, figure.difference) == ("80000.500", "", "")
    assert (figure.settled, figure.refused) == ("80000.500", "5000.000")
    assert (split.percent, split.schedule, split.amount) == ("12.5 %", 3, "0.372679")


@pytest.mark.parametrize(
    "file", ["", "not json", "{}", "[]", json.dumps({"payload": "e30", "signatures": []}), statement_file()[:-9]]
)
def test_what_is_no_statement_is_told(file: str) -> None:
    with pytest.raises(InvalidStatement):
        read_statement(file)


def test_it_knows_every_kind_of_line_there_is() -> None:
    source = (Path(document.__file__).parent / "lines.py").read_text()
    kinds = {part.split('"')[1] for part in source.split("to.") if part.startswith(("line(", "cash("))}
    assert kinds
    assert {kind for kind in kinds if describe_line(kind) == kind.replace("_", " ")} <= set()
