"""The files in which a statement can be had: signed, its records, and the unsigned forms for people and machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ledger.errors import NotFound
from settlement.errors import InvalidStatement
from settlement.models import Statement
from settlement.selectors.statement_records import read_records
from settlement.statements.canonical import canonical_bytes
from settlement.statements.content import open_statement, parse_records
from settlement.statements.forms import FORMS
from settlement.statements.jws import records_file, statement_file

SIGNED, RECORDS = "jws", "jsonl"


@dataclass(frozen=True, slots=True)
class FileForm:
    """A form as a choice: how it is called, its media type, how the names of its files end."""

    code: str
    title: str
    media_type: str
    extension: str


@dataclass(frozen=True, slots=True)
class StatementFile:
    """A file to send, piece by piece."""

    name: str
    media_type: str
    pieces: Iterator[bytes]


FILE_FORMS: Mapping[str, FileForm] = {
    SIGNED: FileForm(SIGNED, "Signed file", "application/jose+json", "jws.json"),
    RECORDS: FileForm(RECORDS, "Records, one a line", "application/jsonl; charset=utf-8", "records.jsonl"),
    **{form.code: FileForm(form.code, form.title, form.media_type, form.extension) for form in FORMS.values()},
}


def base_name(statement: Statement) -> str:
    """What the names of a statement's files begin with. The verifier finds the records beside the signed file by it."""
    if statement.sequence is None:
        return f"{statement.party.code}-{statement.currency.code}-{statement.run.key.replace('/', '-')}"
    return f"{statement.party.code}-{statement.currency.code}-{statement.sequence:06d}"


def open_file(statement: Statement, form: str) -> StatementFile:
    """A statement in one of `FILE_FORMS`. Raises `NotFound` for another, `InvalidStatement` for a spoilt one."""
    wanted = FILE_FORMS.get(form)
    if wanted is None:
        raise NotFound(f"A statement has no form {form!r}. There are {', '.join(FILE_FORMS)}.", form=form)
    name = f"{base_name(statement)}.{wanted.extension}"
    return StatementFile(name, wanted.media_type, _pieces(statement, form))


def open_signed(statement: Statement) -> bytes:
    """The signed file with the opinions that auditors signed since; a spoilt one as it is stored."""
    try:
        return statement_file(statement)
    except InvalidStatement:
        return statement.jws.encode()


def _pieces(statement: Statement, form: str) -> Iterator[bytes]:
    if form == SIGNED:
        return iter([open_signed(statement)])
    content = open_statement(statement.jws)
    if form == RECORDS:
        return records_file(statement) if content.inside is None else _lines(content.inside)
    return FORMS[form].write(content.core, parse_records(read_records(statement, content)))


def _lines(records: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    for record in records:
        yield canonical_bytes(record) + b"\n"
