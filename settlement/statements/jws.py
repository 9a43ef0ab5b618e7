"""A statement's files as they are handed out: the signed one, with every auditor's opinion, and its records."""

from __future__ import annotations

from collections.abc import Iterator

from settlement.models import Statement, StatementPart
from settlement.statements.canonical import canonical_bytes
from settlement.statements.signing import envelope_parts


def statement_file(statement: Statement) -> bytes:
    """The statement as JWS General JSON: the exchange's signature, then the opinions in the order they were given."""
    payload, signatures = envelope_parts(statement.jws.encode())
    opinions = statement.opinions.order_by("pk").values_list("protected", "signature")
    signatures += [{"protected": protected, "signature": signature} for protected, signature in opinions]
    return canonical_bytes({"payload": payload, "signatures": signatures})


def records_file(statement: Statement) -> Iterator[bytes]:
    """The records in pieces, as they stand under the root; nothing for a statement of the first form."""
    parts = StatementPart.objects.filter(stated_id=statement.stated_id).order_by("number")
    for content in parts.values_list("content", flat=True).iterator(chunk_size=4):
        yield bytes(content)
