from __future__ import annotations

import ast
import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from settlement.errors import InvalidStatement
from settlement.statements import party_lines
from settlement.statements.content import StatementContent, open_statement
from settlement.statements.readable import read_core, read_lines, read_split
from settlement.statements.readable_metering import read_metering
from settlement.statements.wording import describe_line, describe_movement, grouped, percent
from tests.unit.settlement.sample_statements_v2 import EXCHANGE, START, SYMBOL, bodies, sample

FIRST = SYMBOL.format(14)


def first_form() -> str:
    """A statement as they were before: everything inside its core."""
    window = {"start": "2026-12-01T14:00:00Z", "end": "2026-12-01T15:00:00Z"}
    line = {"number": 1, "contract": FIRST, "window": window, "kind": "delivered", "value": "0.336000"}
    line |= {"amount": "0.000000", "tax": {"category": "standard", "rate_ppm": 60_000}, "tokens": "80000"}
    line |= {"price": "4.200000", "counterparty": "provider-1"}
    refund = line | {"number": 2, "kind": "refund_unused", "value": "0.025200", "amount": "0.025200"}
    refund |= {"journal": {"source": "settlement", "reference": f"run/{FIRST}/buyer-1/provider-1/refund_unused"}}
    core: dict[str, Any] = {
        "statement_id": "buyer-1/CNY/20261201T1400Z/60/initial",
        "party": "buyer-1",
        "currency": "CNY",
        "sequence": 2,
        "previous_digest": bytes(range(32)).hex(),
        "run": {"key": "20261201T1400Z/60/initial", "kind": "initial", "number": 1, "period": window,
                "input_digest": "00" * 32, "rules_version": "1"},
        "balances": {
            "opening": {"amount": "1.000000", "account_seq": 4},
            "movements": [{"kind": "refund_unused", "entries": 1, "amount": "0.025200"}],
            "closing": {"amount": "1.025200", "account_seq": 5},
            "held": "0.004360",
            "available": "1.020840",
        },
        "lines": [line, refund],
        "lines_count": 2,
        "lines_root": "11" * 32,
        "totals": {"amount": "0.025200", "by_kind": [
            {"kind": "delivered", "lines": 1, "tokens": "80000", "value": "0.336000", "amount": "0.000000"}]},
        "metering": [{"contract": FIRST, "counterparty": "provider-1", "settled_millitokens": "80000500",
                      "refused_millitokens": "0", "provider_millitokens": "80000500"}],
        "splits": [],
        "notice": "This is a statement, not an invoice.",
    }  # fmt: skip
    payload = {"schema": "tokenbourse-statement/1", "core": core, "core_digest": "22" * 32}
    return EXCHANGE.sign(payload | {"annex": {"issued_at": window["end"]}}, signed_at=START).decode()


def opened() -> StatementContent:
    return open_statement(sample(8, metering=1).file)


def test_a_statement_in_words() -> None:
    content = opened()
    words = read_core(content.core)
    assert (words.party, words.currency, words.sequence) == ("provider-1", "CNY", 2)
    assert words.previous_digest == bytes(range(32)).hex()
    assert words.core_digest == content.core_digest
    assert (words.period_start, words.dispute_until) == (START, START + timedelta(days=10))
    assert (words.movements[0].what, words.movements[0].amount) == ("Deposits", "1000.000007")
    assert [(each.what, each.lines, each.tokens) for each in words.totals] == [
        ("Delivered tokens", 2, "160004"),
        ("Provider's fee", 2, "0"),
        ("Share", 2, "0"),
        ("Tokens not delivered", 2, "10000"),
    ]
    assert words.netting is not None
    assert (words.netting.net, words.total) == (words.total, words.netting.net)
    assert (words.lines_count, words.metering_count, words.splits_count, words.records_count) == (8, 1, 2, 11)
    assert words.changes == []  # no run went before
    assert (words.rules_version, words.code_version, words.usage_through) == ("4", "0123456789abcdef", "41")
    assert [(each.kid, each.opinion) for each in content.signatures] == [(EXCHANGE.kid, "")]


def test_changes_are_told_when_a_run_went_before() -> None:
    core = sample().core
    (first, *_) = read_core(core | {"delta": core["delta"] | {"previous_run": "20261201T1400Z/60/initial"}}).changes
    assert (first.what, first.previous) == ("Delivered tokens", "0.000000")
    assert first.change == first.cumulative


def test_an_auditors_opinion_is_told() -> None:
    signed = json.loads(sample().file)
    protected = base64.urlsafe_b64encode(json.dumps({"kid": "auditor", "opinion": "agreed"}).encode()).decode()
    signed["signatures"].append({"protected": protected.rstrip("="), "signature": ""})
    assert [each.opinion for each in open_statement(json.dumps(signed)).signatures] == ["", "agreed"]


def test_its_lines_stand_by_contract_in_their_order() -> None:
    records = [record for record in bodies(sample(50_002, metering=0, splits=0)) if record["number"] > 49_998]
    first, second = read_lines((record["number"], record["body"]) for record in records)
    assert (first.contract, second.contract) == (FIRST, SYMBOL.format(15))
    assert [each.number for each in first.lines] == [49_999, 50_000]
    assert (second.start, second.lines[0].what) == (START + timedelta(hours=1), "Delivered tokens")
    line = second.lines[0]
    assert (line.tokens, line.price, line.tax) == ("130000", "4.200000", "standard 6 %")
    assert line.cumulative == line.value
    assert line.exact.endswith("/3")
    assert line.reference.endswith("/0001")


def test_the_meters_figures_in_words() -> None:
    (record,) = (record["body"] for record in bodies(sample(0, metering=1)) if record["record"] == "metering")
    figure = read_metering(record)
    assert figure.between == "provider-1 and buyer-0"
    assert (figure.provider, figure.buyer, figure.difference) == ("80001.500", "80000.500", "1.000")
    assert (figure.settled, figure.refused, figure.disputed) == ("80000.500", "5000.000", "1.000")
    first, second = figure.buckets
    assert (first.what, first.provider, first.buyer, first.difference) == ("input uncached", "60010", "60000", "10")
    assert (first.tolerance, first.settled, first.trust) == ("290", "60000", "recomputable")
    assert (second.what, second.buyer, second.difference, second.trust) == ("output reasoning", "", "", "asserted")
    assert figure.requests == "1 conflict, 58 matched, 2 provider only"
    assert figure.open_cases == "figures differ: 1"
    assert figure.completeness == "buyer open, provider complete"
    assert (figure.signed, figure.corrections) == ("61 provider", "3")
    assert figure.service == "95 of 100 first tokens within 812 ms, 30 tokens per second, 58 of 60 requests served"
    assert figure.missed == "availability"
    assert figure.reference == "4.200000 (window trades)"


def test_the_shares_in_words() -> None:
    split, _ = (read_split(record["body"]) for record in bodies(sample(0, metering=0)))
    assert (split.what, split.percent, split.schedule) == ("Payment for the position", "12.5 %", 3)
    assert (split.beneficiary, split.amount) == ("grid-compute", "0.046584")


def test_a_statement_of_the_first_form_reads_the_same() -> None:
    content = open_statement(first_form())
    words = read_core(content.core)
    assert (words.sequence, words.opening, words.closing, words.available) == (2, "1.000000", "1.025200", "1.020840")
    assert (words.records_root, words.core_digest) == ("11" * 32, "22" * 32)
    assert (words.lines_count, words.metering_count, words.splits_count) == (2, 1, 0)
    assert (words.netting, words.dispute_until, words.notice) == (None, None, "This is a statement, not an invoice.")
    assert content.inside is not None
    assert [(each["record"], each["number"]) for each in content.inside] == [("line", 1), ("line", 2), ("metering", 3)]
    (contract,) = read_lines((each["number"], each["body"]) for each in content.inside[:2])
    assert (contract.lines[0].what, contract.lines[0].cumulative) == ("Delivered tokens", "")
    assert content.inside[1]["body"]["journal"]["ref"] == "refund_unused"
    figure = read_metering(content.inside[2]["body"])
    assert (figure.between, figure.buyer, figure.difference, figure.disputed) == ("provider-1", "", "", "")


@pytest.mark.parametrize(
    "file", ["", "not json", "{}", "[]", json.dumps({"payload": "e30", "signatures": []}), first_form()[:-9]]
)
def test_what_is_no_statement_is_told(file: str) -> None:
    with pytest.raises(InvalidStatement):
        open_statement(file)


@pytest.mark.parametrize("missing", ["run", "balances", "records", "totals", "notice"])
def test_a_core_without_a_part_is_told(missing: str) -> None:
    core = {name: value for name, value in sample().core.items() if name != missing}
    with pytest.raises(InvalidStatement):
        read_core(core)


def test_it_knows_every_kind_of_line_and_movement_there_is() -> None:
    kinds = {value for value in _strings(Path(party_lines.__file__)) if value.replace("_", "").isalpha()}
    told = {kind for kind in kinds if describe_line(kind) != kind.replace("_", " ")}
    assert {"delivered", "sla", "made_up", "suspended", "excess", "share"} <= told
    assert describe_line("something_new") == describe_movement("something_new") == "something new"


def _strings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_figures_are_grouped_and_shares_are_percentages() -> None:
    assert [grouped(each) for each in ("-1234567.500000", "12", 1_000, "")] == ["-1,234,567.500000", "12", "1,000", ""]
    assert [percent(each) for each in (700_000, 125_000, 0, 1)] == ["70 %", "12.5 %", "0 %", "0.0001 %"]
    assert datetime(2026, 12, 1, 14, tzinfo=UTC) == START
