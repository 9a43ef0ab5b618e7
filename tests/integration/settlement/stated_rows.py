"""Statements of samples, kept as a run keeps them: the core, its records in parts, and the signed file."""

from __future__ import annotations

from itertools import count as numbers

from ledger.models import Party
from settlement.models import SettlementRun, StatedCore, Statement, StatementPart
from settlement.statements.canonical import canonical_bytes, canonical_digest
from tests.unit.settlement.sample_statements_v2 import ISSUED_AT, Sample

RECORDS_A_PART = 7  # so few that even a short statement has several


def keep(run: SettlementRun, party: Party, sample: Sample) -> Statement:
    """The rows of a statement. It is signed by the key of the samples, which no key set has."""
    digest, sequence = canonical_digest(sample.core), sample.core.get("sequence")
    previous = bytes.fromhex(sample.core["previous_digest"]) if "previous_digest" in sample.core else None
    chained = {"sequence": sequence, "previous_digest": previous}
    stated = StatedCore.objects.create(
        run=run,
        party=party,
        currency=run.currency,
        core=canonical_bytes(sample.core),
        digest=digest,
        records=len(sample.records),
        **chained,
    )
    for number, start in zip(numbers(1), range(0, len(sample.records), RECORDS_A_PART), strict=False):
        part = sample.records[start : start + RECORDS_A_PART]
        StatementPart.objects.create(
            stated=stated,
            number=number,
            first_record=start + 1,
            records=len(part),
            content=b"".join(record + b"\n" for record in part),
        )
    return Statement.objects.create(
        run=run,
        party=party,
        currency=run.currency,
        stated=stated,
        core_digest=digest,
        jws=sample.file,
        issued_at=ISSUED_AT,
        **chained,
    )
