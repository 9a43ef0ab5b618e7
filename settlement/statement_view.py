"""A page of each kind of a statement's records, as the statement's page shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from settlement.errors import InvalidStatement
from settlement.models import Statement
from settlement.selectors.statement_records import read_slice
from settlement.statements.content import StatementContent, parse_records
from settlement.statements.readable import read_lines, read_split
from settlement.statements.readable_metering import read_metering

ROWS: Mapping[str, int] = {"lines": 100, "metering": 20, "splits": 100}  # of a page; a position's meters take many rows


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Rows `first` to `last` of the `total` of a kind (`name`), counted from 1; page `number` of `pages`."""

    name: str
    rows: Sequence[Any]
    first: int
    last: int
    total: int
    number: int
    pages: int

    @property
    def previous(self) -> int | None:
        return self.number - 1 if self.number > 1 else None

    @property
    def next(self) -> int | None:
        return self.number + 1 if self.number < self.pages else None


def record_pages(request: HttpRequest, statement: Statement, content: StatementContent) -> dict[str, RecordPage]:
    """A page of each kind of record: the one that the query asks for by the kind's name, else the first.

    Raises `InvalidStatement` when records are not what they should be.
    """
    pages, before = {}, 0
    for name, total in content.counts.items():
        size = ROWS[name]
        count = max(1, -(-total // size))
        number = min(_asked(request, name), count)
        first = (number - 1) * size + 1
        last = min(first + size - 1, total)
        records = read_slice(statement, content, before + first, last - first + 1) if total else []
        try:
            rows = _rows(name, list(parse_records(records)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidStatement("The records are not a statement's.") from error
        pages[name] = RecordPage(name, rows, first if total else 0, last, total, number, count)
        before += total
    return pages


def told_in_words(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """What a record says, a line each: its name in words, within what it stands, and its value."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            word = key.replace("_", " ")
            yield from told_in_words(inner, f"{name}, {word}" if name else word.capitalize())
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value, start=1):
            yield from told_in_words(inner, f"{name} {number}")
    else:
        yield name, "none" if value in ({}, [], "") else str(value)


def _asked(request: HttpRequest, name: str) -> int:
    text = request.GET.get(name, "")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 10 else 1


def _rows(name: str, records: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
    if name == "lines":
        return read_lines((record["number"], record["body"]) for record in records)
    read = read_metering if name == "metering" else read_split
    return [read(record["body"]) for record in records]
