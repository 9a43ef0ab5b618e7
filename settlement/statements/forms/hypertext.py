"""A statement as one HTML file to keep and read: no script, nothing from outside, its few styles inside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from settlement.statements.content import LINE, METERING, SPLIT
from settlement.statements.readable import ReadableStatement, read_core, read_line, read_split, read_time
from settlement.statements.readable_metering import read_metering
from settlement.statements.wording import describe_run, grouped

_TOGETHER = 500  # rows in one piece
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:76rem;padding:1.5rem;color:#13201e;background:#fff}
h1{font-size:1.6rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}p{margin:.2rem 0;color:#566561}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{padding:.3rem .7rem .3rem 0;text-align:left;border-bottom:1px solid #dbe3e1}
thead th{color:#566561;font-weight:500}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}tfoot>*>*{font-weight:600}
.group th{background:#eef2f1;padding-left:.4rem}code{overflow-wrap:anywhere;font-size:.86rem}
@media print{body{max-width:none;padding:0;font-size:11px}tr{break-inside:avoid}}
"""
Column = tuple[str, bool]  # its heading, and whether it holds figures
_LINES: Sequence[Column] = (
    ("Line", True), ("What", False), ("With", False), ("Tokens", True), ("Price", True), ("Value", True),
    ("Amount", True), ("Over all runs", True), ("Tax", False),
)  # fmt: skip
_METERS: Sequence[Column] = (
    ("Contract", False), ("Between", False), ("Provider's meter", True), ("Buyer's meter", True),
    ("Settled", True), ("Refused", True), ("Disputed", True), ("Requests", False), ("Open cases", False),
)  # fmt: skip
_SPLITS: Sequence[Column] = (
    ("Contract", False), ("What was shared", False), ("Beneficiary", False), ("Share", True), ("Schedule", True),
    ("Amount", True),
)  # fmt: skip
_SECTIONS = {
    LINE: ("Lines", _LINES),
    METERING: ("What the meters said, in contract tokens", _METERS),
    SPLIT: ("How it was shared", _SPLITS),
}


def hypertext(core: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """The file, in pieces."""
    pieces = [_head(read_core(core))]
    section = contract = ""
    for count, record in enumerate(records, start=1):
        kind, body = record["record"], record["body"]
        if kind != section:
            pieces.append(_end(section) + _begin(*_SECTIONS[kind]))
            section = kind
        if kind == LINE and body["contract"] != contract:
            contract = body["contract"]
            pieces.append(_contract(body))
        pieces.append(_row(_cells(record), _SECTIONS[kind][1]))
        if count % _TOGETHER == 0:
            yield "".join(pieces).encode()
            pieces.clear()
    pieces.append(_end(section) + "</body></html>\n")
    yield "".join(pieces).encode()


def _head(content: ReadableStatement) -> str:
    number = "" if content.sequence is None else f" {content.sequence}"
    title = f"Statement{number} of {content.party} in {content.currency}"
    until = f" Lines can be disputed until {_at(content.dispute_until)}." if content.dispute_until else ""
    period = f"{_at(content.period_start)} to {_at(content.period_end)}"
    head = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"<p>{describe_run(content.run_kind)} settlement of {period}. {escape(content.notice)}{until}</p>"
        "<p>This copy is not signed. The signed file has the digest below; verify that one.</p>"
    )
    return head + _summary(content) + _proof(content)


def _summary(content: ReadableStatement) -> str:
    movements = [(each.what, grouped(each.entries), grouped(each.amount)) for each in content.movements]
    cash = [("Opening balance", "", grouped(content.opening)), *movements]
    cash += [("Closing balance", "", grouped(content.closing)), ("Held by orders and bonds", "", grouped(content.held))]
    cash += [("Available", "", grouped(content.available))]
    totals = [
        (each.what, grouped(each.lines), grouped(each.tokens), grouped(each.value), grouped(each.amount))
        for each in content.totals
    ]
    totals.append(("Together", grouped(content.lines_count), "", "", grouped(content.total)))
    parts = [
        _table(f"Cash account, in {content.currency}", ("What moved", "Entries", "Amount"), cash),
        _table("Lines by kind", ("What", "Lines", "Tokens", "Value", "Amount"), totals),
    ]
    if content.changes:
        changes = [
            (each.what, grouped(each.previous), grouped(each.change), grouped(each.cumulative))
            for each in content.changes
        ]
        parts.append(_table("Against the run before", ("What", "Before", "This run", "Over all runs"), changes))
    if content.netting:
        due = content.netting.value_date.isoformat() if content.netting.value_date else ""
        netting = (content.netting.gross_in, content.netting.gross_out, content.netting.net)
        row = (due, *(grouped(each) for each in netting), content.netting.saved)
        parts.append(_table("As one payment", ("Value date", "In", "Out", "Net", "Saved by netting"), [row]))
    return "".join(parts)


def _proof(content: ReadableStatement) -> str:
    facts = (
        ("Statement", content.statement_id),
        ("SHA-256 of the signed core", content.core_digest),
        ("Merkle root of the records", f"{content.records_root} over {content.records_count}"),
        ("Digest of the run's inputs", content.input_digest),
        ("Rules and code", f"{content.rules_version} {content.code_version}"),
        ("Previous statement", content.previous_digest or "none"),
    )
    rows = "".join(f'<tr><th scope="row">{name}</th><td><code>{escape(text)}</code></td></tr>' for name, text in facts)
    return f'<h2>Origin</h2><div class="scroll"><table><tbody>{rows}</tbody></table></div>'


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A small table whose first column names its rows."""
    shape = [(column, place > 0) for place, column in enumerate(columns)]
    return _begin(title, shape) + "".join(_row(row, shape) for row in rows) + _end(title)


def _begin(title: str, columns: Sequence[Column]) -> str:
    heads = "".join(f'<th scope="col"{" class=n" if number else ""}>{escape(name)}</th>' for name, number in columns)
    return f'<h2>{escape(title)}</h2><div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>\n'


def _end(section: str) -> str:
    return "</tbody></table></div>" if section else ""


def _row(cells: Sequence[str], columns: Sequence[Column]) -> str:
    told = (
        f"<td class=n>{cell}</td>" if number else f"<td>{escape(cell)}</td>"
        for cell, (_, number) in zip(cells, columns, strict=True)
    )
    return f"<tr>{''.join(told)}</tr>\n"


def _contract(body: Mapping[str, Any]) -> str:
    window = body["window"]
    about = f"{body['contract']}, {_at(read_time(window['start']))} to {_at(read_time(window['end']))}"
    return f'<tr class=group><th colspan={len(_LINES)} scope="rowgroup">{escape(about)}</th></tr>\n'


def _cells(record: Mapping[str, Any]) -> tuple[str, ...]:
    if record["record"] == LINE:
        line = read_line(record["number"], record["body"])
        what = f"{line.what} to {line.beneficiary}" if line.beneficiary else line.what
        figures = (grouped(each) for each in (line.tokens, line.price, line.value, line.amount, line.cumulative))
        return (str(line.number), what, line.counterparty, *figures, line.tax)
    if record["record"] == METERING:
        said = read_metering(record["body"])
        figures = (grouped(each) for each in (said.provider, said.buyer, said.settled, said.refused, said.disputed))
        return (said.contract, said.between, *figures, said.requests, said.open_cases)
    split = read_split(record["body"])
    return (
        split.contract, split.what, split.beneficiary, split.percent, str(split.schedule), grouped(split.amount)
    )  # fmt: skip


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
