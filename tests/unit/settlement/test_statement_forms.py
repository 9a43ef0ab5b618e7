"""The unsigned forms of a statement: each says what was signed, and comes in pieces however long the statement is."""

from __future__ import annotations

import csv
import io
import re
import tracemalloc
import zlib
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Any

import pytest

from ledger.money import parse_micros
from settlement.statements.canonical import canonical_digest
from settlement.statements.content import open_statement, parse_records
from settlement.statements.forms import FORMS
from settlement.statements.wording import grouped
from tests.unit.settlement.sample_statements_v2 import Sample, line, sample
from tests.unit.settlement.test_readable import first_form

MANY = 20_000


def written(code: str, statement: Sample) -> bytes:
    return b"".join(FORMS[code].write(statement.core, parse_records(statement.records)))


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


class _Cells(HTMLParser):
    """Collects the rows of all tables, and what a browser would load."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [f"{tag} {name}" for name, _ in attrs if name in {"src", "href", "srcset", "action", "onload"}]
        self.loads += [tag] if tag in {"script", "link", "iframe", "img"} else []
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


def test_csv_holds_every_figure_of_every_record() -> None:
    statement = sample(40, metering=3, splits=2)
    rows = rows_of(written("csv", statement))
    lines = [row for row in rows if row["row"] == "line"]
    assert [int(row["number"]) for row in rows if row["number"]] == list(range(1, len(statement.records) + 1))
    for row, record in zip(lines, parse_records(statement.records), strict=False):
        body = record["body"]
        assert (row["amount"], row["value"], row["cumulative"]) == (body["amount"], body["value"], body["cumulative"])
        assert (row["contract"], row["exact_micros"], row["tokens"]) == (
            body["contract"], body["exact"], body.get("tokens", ""),
        )  # fmt: skip
        assert row["journal_reference"] == body["journal"]["reference"]
    assert sum(parse_micros(row["amount"]) for row in lines) == parse_micros(statement.core["totals"]["amount"])
    about = {row["kind"]: row["text"] for row in rows if row["row"] == "statement"}
    assert about["core_sha256"] == canonical_digest(statement.core).hex()
    balances = {row["kind"]: row["amount"] for row in rows if row["row"] == "balance"}
    moved = sum(parse_micros(amount) for kind, amount in balances.items() if kind.startswith("movement:"))
    assert parse_micros(balances["opening"]) + moved == parse_micros(balances["closing"])
    metering = [row for row in rows if row["row"] == "metering"]
    assert {(row["buyer"], row["settled_millitokens"]) for row in metering} == {
        (f"buyer-{place}", "80000500") for place in range(3)
    }
    assert [row["weight_ppm"] for row in rows if row["row"] == "split"] == ["125000", "875000"] * 2


def test_csv_holds_nothing_that_a_spreadsheet_would_run() -> None:
    hostile = [
        line(0, "delivered", 1, tax_category="=HYPERLINK(1)"),
        line(4, "delivered", 1, counterparty="@SUM(A1)", beneficiary="+1,\"x\"\n"),
    ]  # fmt: skip
    first, second = (row for row in rows_of(written("csv", sample(hostile))) if row["row"] == "line")
    assert first["tax_category"] == "'=HYPERLINK(1)"
    assert (second["counterparty"], second["beneficiary"]) == ("'@SUM(A1)", '\'+1,"x"\n')


def test_html_reads_totals_first_and_loads_nothing() -> None:
    hostile = line(3, "share", -5, beneficiary="<b>&", counterparty="<script>alert(1)</script>")
    statement = sample([*(line(place, "delivered", 336_000, tokens=80_000) for place in range(3)), hostile])
    data = written("html", statement)
    page = _Cells()
    page.feed(data.decode())
    assert page.loads == []
    told = [row[0] for row in page.rows if row]
    assert told.index("Opening balance") < told.index("Delivered tokens") < told.index("Line")
    assert ["1", "Delivered tokens", "buyer-0", "80,000", "", "0.336000", "0.336000", "0.336000", "standard 6 %"] in (
        page.rows
    )
    assert any(row[1:3] == ["Share to <b>&", "<script>alert(1)</script>"] for row in page.rows)
    assert canonical_digest(statement.core).hex() in data.decode()
    assert data.count(b"<table>") == data.count(b"</table>")
    assert data.count(b"<tr") == data.count(b"</tr>")


def streams(data: bytes) -> str:
    """The drawing operators of a PDF's pages; texts stand in them as they are."""
    found = re.findall(rb"/FlateDecode.*?stream\r?\n(.*?)endstream", data, re.DOTALL)
    return b"".join(zlib.decompressobj().decompress(each) for each in found).decode("latin-1")


def test_pdf_is_the_same_bytes_and_says_every_line() -> None:
    statement = sample(120, metering=2, splits=1)
    data = written("pdf", statement)
    assert data == written("pdf", statement)
    assert data.startswith(b"%PDF-")
    assert data.rstrip().endswith(b"%%EOF")
    drawn = streams(data)
    for record in parse_records(statement.records):
        if record["record"] == "line":
            assert f"({record['number']}) Tj" in drawn
            assert f"({grouped(record['body']['amount'])}) Tj" in drawn
    assert canonical_digest(statement.core).hex() in drawn
    assert len(re.findall(rb"/Type /Page\b(?!s)", data)) > 3
    assert b"/CreationDate (D:20000101000000+00'00')" in data


def test_pdf_writes_texts_that_are_not_latin_and_cuts_what_is_too_wide() -> None:
    strange = [line(0, "delivered", 1, tax_category="增值税"), line(4, "delivered", 1, counterparty="w" * 90)]
    strange.append(line(8, "delivered", 1, counterparty=r"a\(b)"))
    drawn = streams(written("pdf", sample(strange)))
    assert "w" * 90 not in drawn
    assert "www.." in drawn
    assert r"(a\\\(b\)) Tj" in drawn


@pytest.mark.parametrize("code", FORMS)
def test_a_statement_of_the_first_form_has_every_form(code: str) -> None:
    content = open_statement(first_form())
    assert content.inside is not None
    data = b"".join(FORMS[code].write(content.core, content.inside))
    assert data
    if code != "pdf":
        assert "22" * 32 in data.decode()  # the digest that was signed


@pytest.mark.parametrize("code", [code for code in FORMS if code != "pdf"])
def test_a_long_statement_comes_in_pieces_and_never_stands_in_memory(code: str) -> None:
    statement = sample(MANY, metering=0, splits=0)
    taken = 0

    def records() -> Iterator[Mapping[str, Any]]:
        nonlocal taken
        for record in parse_records(statement.records):
            taken += 1
            yield record

    pieces = FORMS[code].write(statement.core, records())
    next(pieces)
    assert taken < MANY / 10
    tracemalloc.start()
    size = sum(len(piece) for piece in pieces)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken == MANY
    assert peak < 4_000_000 < size


@pytest.mark.parametrize("code", FORMS)
def test_a_statement_without_lines_has_every_form(code: str) -> None:
    assert written(code, sample(0, metering=0, splits=0))
