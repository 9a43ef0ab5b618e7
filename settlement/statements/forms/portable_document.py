"""A statement as PDF to print and file: totals first, then every record. The same core gives the same bytes.

Drawn page by page straight onto the canvas, since a hundred thousand lines as one flowing table would need gigabytes.
The document holds its compressed pages until it is written out at the end, some 2 kB a page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from io import BytesIO
from typing import Any

from reportlab import rl_config
from reportlab.lib.pagesizes import A4, landscape
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from settlement.statements.content import LINE, METERING, SPLIT
from settlement.statements.readable import ReadableStatement, read_core, read_line, read_split, read_time
from settlement.statements.readable_metering import read_metering
from settlement.statements.wording import describe_run, grouped

WIDTH, HEIGHT = landscape(A4)
MARGIN, ROW, BOTTOM = 36, 12, 44
PLAIN, BOLD, WIDE = "Helvetica", "Helvetica-Bold", "STSong-Light"  # the last for what Latin fonts have no letters for
SIZE = 8
_PIECE = 65_536
rl_config.useA85 = 0  # pages as compressed bytes, a fifth smaller than as text
_ESCAPES = str.maketrans({"\\": r"\\", "(": r"\(", ")": r"\)"})


@dataclass(frozen=True, slots=True)
class Column:
    """`end` is where it ends, in points from the left margin; figures stand at the right of it."""

    name: str
    start: float
    end: float
    figures: bool = False


def _columns(*widths: tuple[str, float, bool]) -> tuple[Column, ...]:
    columns, at = [], 0.0
    for name, width, figures in widths:
        columns.append(Column(name, at, at + width - 6, figures))
        at += width
    return tuple(columns)


_LINES = _columns(
    ("Line", 40, True), ("What", 196, False), ("With", 100, False), ("Tokens", 78, True), ("Price", 66, True),
    ("Value", 90, True), ("Amount", 90, True), ("Tax", 108, False),
)  # fmt: skip
_METERS = _columns(
    ("Contract", 200, False), ("Between", 170, False), ("Provider's meter", 80, True), ("Buyer's meter", 80, True),
    ("Settled", 80, True), ("Refused", 80, True), ("Disputed", 80, True),
)  # fmt: skip
_SPLITS = _columns(
    ("Contract", 230, False), ("What was shared", 190, False), ("Beneficiary", 130, False), ("Share", 60, True),
    ("Schedule", 60, True), ("Amount", 100, True),
)  # fmt: skip
_SECTIONS = {
    LINE: ("Lines", _LINES),
    METERING: ("What the meters said, in contract tokens", _METERS),
    SPLIT: ("How it was shared", _SPLITS),
}


def portable_document(core: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """The file, in pieces, once all of it is drawn."""
    content = read_core(core)
    pages = _Pages(content)
    _draw_summary(pages, content)
    section = contract = ""
    for record in records:
        kind, body = record["record"], record["body"]
        if kind != section:
            pages.begin(*_SECTIONS[kind])
            section = kind
        if kind == LINE and body["contract"] != contract:
            contract = body["contract"]
            window = body["window"]
            pages.group(f"{contract}, {_at(read_time(window['start']))} to {_at(read_time(window['end']))}")
        pages.row(_cells(record))
    data = pages.finish()
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]


class _Pages:
    """A canvas that turns its pages by itself and repeats the head of a table on each."""

    def __init__(self, content: ReadableStatement) -> None:
        self._buffer = BytesIO()
        self._canvas = Canvas(self._buffer, pagesize=(WIDTH, HEIGHT), pageCompression=1, invariant=1)
        self._canvas.setTitle(f"Statement {content.statement_id}")
        self._canvas.setAuthor("Tokenbourse")
        self._canvas.setCreator("Tokenbourse")
        self._foot = f"{content.statement_id}, SHA-256 {content.core_digest}"
        self._number = 1
        self._top = HEIGHT - MARGIN
        self._columns: Sequence[Column] = ()

    def text(self, text: str, *, size: float = SIZE, font: str = PLAIN, gap: float = ROW) -> None:
        """A text of its own, from the left margin; ends a table."""
        self._columns = ()
        self._room(gap)
        self._top -= gap
        self._put(MARGIN, text, font, size)

    def begin(self, title: str, columns: Sequence[Column]) -> None:
        """A new table."""
        self._columns = ()
        self._room(6 * ROW)
        self.text(title, size=11, font=BOLD, gap=26)
        self._columns = columns
        self._head()

    def group(self, text: str) -> None:
        """A heading among the rows."""
        self._room(3 * ROW)
        self._top -= ROW + 2
        self._put(MARGIN, text, BOLD, SIZE)

    def row(self, cells: Sequence[str]) -> None:
        """A row of the table; what does not fit its column is cut."""
        self._room(ROW)
        self._top -= ROW
        self._canvas.setFont(PLAIN, SIZE)
        self._cells(cells, PLAIN)

    def finish(self) -> bytes:
        self._turn(last=True)
        self._canvas.save()
        return self._buffer.getvalue()

    def _room(self, needed: float) -> None:
        if self._top - needed < BOTTOM:
            self._turn()
            if self._columns:
                self._head()

    def _turn(self, *, last: bool = False) -> None:
        self._put(MARGIN, self._foot, PLAIN, 6.5, at=BOTTOM - 18)
        self._put(WIDTH - MARGIN, f"page {self._number}", PLAIN, 6.5, at=BOTTOM - 18, right=True)
        self._canvas.showPage()
        self._number += 1
        self._top = HEIGHT - MARGIN

    def _head(self) -> None:
        self._top -= ROW
        self._canvas.setFont(BOLD, SIZE)
        self._cells([column.name for column in self._columns], BOLD)
        self._canvas.setLineWidth(0.5)
        self._canvas.line(MARGIN, self._top - 3, WIDTH - MARGIN, self._top - 3)
        self._top -= 3

    def _cells(self, cells: Sequence[str], font: str) -> None:
        """The cells of a row, in the font that is set: as operators of their own (ISO 32000-1, 9.4), ten times as fast
        as a text object for each."""
        written = ["BT"]
        for column, cell in zip(self._columns, cells, strict=True):
            if not cell.isascii():
                self._strange(column, cell, font)
            elif cell:
                text, width = _fitted(cell, font, column.end - column.start)
                x = MARGIN + (column.end - width if column.figures else column.start)
                written.append(f"1 0 0 1 {x:.2f} {self._top:.2f} Tm ({text.translate(_ESCAPES)}) Tj")
        self._canvas.addLiteral(" ".join([*written, "ET"]))

    def _strange(self, column: Column, text: str, font: str) -> None:
        """A cell with letters beyond ASCII, in a font that has them."""
        self._canvas.saveState()
        used = _font_for(text, font)
        while pdfmetrics.stringWidth(text, used, SIZE) > column.end - column.start:
            text = text[:-1]
        self._put(MARGIN + column.start, text, font, SIZE)
        self._canvas.restoreState()

    def _put(
        self, x: float, text: str, font: str, size: float, *, at: float | None = None, right: bool = False
    ) -> None:
        self._canvas.setFont(_font_for(text, font), size)
        draw = self._canvas.drawRightString if right else self._canvas.drawString
        draw(x, self._top if at is None else at, text)


def _draw_summary(pages: _Pages, content: ReadableStatement) -> None:
    number = "" if content.sequence is None else f" {content.sequence}"
    pages.text(f"Statement{number} of {content.party} in {content.currency}", size=16, font=BOLD, gap=16)
    period = f"{_at(content.period_start)} to {_at(content.period_end)}"
    pages.text(f"{describe_run(content.run_kind)} settlement of {period}. {content.notice}", size=9, gap=16)
    pages.text("This copy is not signed. The signed file has the digest at the foot; verify that one.", size=9, gap=13)
    if content.dispute_until:
        pages.text(f"Lines can be disputed until {_at(content.dispute_until)}.", size=9, gap=13)
    balances = [("Opening balance", "", content.opening)]
    balances += [(each.what, str(each.entries), each.amount) for each in content.movements]
    balances += [("Closing balance", "", content.closing), ("Held by orders and bonds", "", content.held)]
    balances += [("Available", "", content.available)]
    _small_table(pages, f"Cash account, in {content.currency}", ("What moved", "Entries", "Amount"), balances)
    totals = [(each.what, str(each.lines), each.tokens, each.value, each.amount) for each in content.totals]
    totals.append(("Together", str(content.lines_count), "", "", content.total))
    _small_table(pages, "Lines by kind", ("What", "Lines", "Tokens", "Value", "Amount"), totals)
    if content.changes:
        changes = [(each.what, each.previous, each.change, each.cumulative) for each in content.changes]
        _small_table(pages, "Against the run before", ("What", "Before", "This run", "Over all runs"), changes)
    if content.netting:
        netting = content.netting
        due = "" if netting.value_date is None else f", value date {netting.value_date}"
        amounts = [("In", netting.gross_in), ("Out", netting.gross_out), ("Net", netting.net)]
        _small_table(pages, f"As one payment{due}", ("", "Amount"), amounts)
    _draw_origin(pages, content)


def _draw_origin(pages: _Pages, content: ReadableStatement) -> None:
    pages.text("Origin", size=11, font=BOLD, gap=26)
    pages.text(f"Merkle root of the {grouped(content.records_count)} records: {content.records_root}", gap=15)
    pages.text(f"Digest of the run's inputs: {content.input_digest}; rules {content.rules_version}")
    if content.previous_digest:
        pages.text(f"Digest of the statement before: {content.previous_digest}")


def _small_table(pages: _Pages, title: str, names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    first, *rest = names
    pages.begin(title, _columns((first, 300, False), *((name, 115, True) for name in rest)))
    for label, *figures in rows:
        pages.row([label, *(grouped(figure) for figure in figures)])


def _cells(record: Mapping[str, Any]) -> tuple[str, ...]:
    if record["record"] == LINE:
        line = read_line(record["number"], record["body"])
        what = f"{line.what} to {line.beneficiary}" if line.beneficiary else line.what
        figures = (grouped(each) for each in (line.tokens, line.price, line.value, line.amount))
        return (str(line.number), what, line.counterparty, *figures, line.tax)
    if record["record"] == METERING:
        said = read_metering(record["body"])
        figures = (grouped(each) for each in (said.provider, said.buyer, said.settled, said.refused, said.disputed))
        return (said.contract, said.between, *figures)
    split = read_split(record["body"])
    return (
        split.contract, split.what, split.beneficiary, split.percent, str(split.schedule), grouped(split.amount)
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _fitted(text: str, font: str, room: float) -> tuple[str, float]:
    """An ASCII text, cut so that it is no wider than there is room, and how wide it is; points."""
    widths = pdfmetrics.getFont(font).widths
    width = sum(widths[code] for code in text.encode("ascii")) * SIZE / 1000
    if width <= room:
        return text, width
    return _fitted(text[:-3] + "..", font, room) if len(text) > 3 else ("", 0)


def _font_for(text: str, font: str) -> str:
    """A font that has the letters: one of the standard fourteen, or the one for Chinese that viewers bring along."""
    if text.isascii():
        return font
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        if WIDE not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(UnicodeCIDFont(WIDE))
        return WIDE
    return font


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
