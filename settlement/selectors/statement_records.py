"""Reading the records of statements: all of them, a stretch, or one with the proof that it belongs to its statement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from django.db.models import F, QuerySet

from ledger.errors import NotFound
from ledger.merkle import inclusion_proof, leaf_hash, tree_root
from settlement.models import Statement, StatementPart
from settlement.statements.canonical import canonical_bytes
from settlement.statements.content import StatementContent


@dataclass(frozen=True, slots=True)
class RecordProof:
    """A record as it stands in its file, with what leads from it to the statement's root (RFC 9162, 2.1.3).

    `index` is its place from 0 among `size` leaves; `path` the siblings' hashes, nearest the leaf first.
    """

    number: int
    text: str
    leaf: bytes
    index: int
    size: int
    path: list[bytes]
    root: bytes


def read_records(statement: Statement, content: StatementContent) -> Iterator[bytes]:
    """All records in their order, one canonical JSON text each; a part of the statement at a time is in memory."""
    if content.inside is not None:
        yield from map(canonical_bytes, content.inside)
        return
    number: int | None = -1
    while number is not None:
        part = _parts(statement).filter(number__gt=number).order_by("number").first()
        if part is not None:
            yield from _split(part)
        number = None if part is None else part.number


def read_slice(statement: Statement, content: StatementContent, first: int, count: int) -> list[bytes]:
    """Records `first` (from 1) to `first + count - 1`, as far as there are so many."""
    if content.inside is not None:
        return [canonical_bytes(record) for record in content.inside[first - 1 : first - 1 + count]]
    overlapping = _parts(statement).filter(first_record__lt=first + count, first_record__gt=first - F("records"))
    found: list[bytes] = []
    for part in overlapping.order_by("number"):
        skipped = max(0, first - part.first_record)
        found += islice(_split(part), skipped, max(skipped, first + count - part.first_record))
    return found


def prove_record(statement: Statement, content: StatementContent, number: int) -> RecordProof:
    """One record and its path to the root. Reads all records of the statement: the path is not kept, it follows.

    Raises `NotFound`: there is no such record, or the statement is of the first form and holds its lines itself.
    """
    size = int(content.core["records"]["count"])
    if content.inside is not None or not 1 <= number <= size:
        raise NotFound(f"Statement {statement.pk} has no record {number} in a file of its own.", record=str(number))
    (record,) = read_slice(statement, content, number, 1)
    leaves = [leaf_hash(each) for each in read_records(statement, content)]
    return RecordProof(
        number=number,
        text=record.decode(),
        leaf=leaves[number - 1],
        index=number - 1,
        size=len(leaves),
        path=inclusion_proof(leaves, number - 1),
        root=tree_root(leaves),
    )


def _parts(statement: Statement) -> QuerySet[StatementPart]:
    return StatementPart.objects.filter(stated_id=statement.stated_id)


def _split(part: StatementPart) -> list[bytes]:
    return bytes(part.content).splitlines()
