"""The forms in which a statement can be had besides the signed file and its records.

Each is a pure function `form(core, records) -> Iterator[bytes]` of what was signed: the core, and the records in their
order as `settlement.statements.content` gives them. None of them is signed; each names the digest of the core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from settlement.statements.forms.camt053 import camt053
from settlement.statements.forms.comma_separated import comma_separated
from settlement.statements.forms.hypertext import hypertext
from settlement.statements.forms.portable_document import portable_document

Record = Mapping[str, Any]
Write = Callable[[Mapping[str, Any], Iterable[Record]], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Form:
    """`code` is its name in addresses, `extension` how its files end."""

    code: str
    title: str
    media_type: str
    extension: str
    write: Write


FORMS: Mapping[str, Form] = {
    form.code: form
    for form in (
        Form("csv", "CSV for spreadsheets", "text/csv; charset=utf-8", "csv", comma_separated),
        Form("html", "HTML for reading", "text/html; charset=utf-8", "html", hypertext),
        Form("pdf", "PDF for printing", "application/pdf", "pdf", portable_document),
        Form("camt053", "camt.053 for accounting systems", "application/xml; charset=utf-8", "camt053.xml", camt053),
    )
}
