"""What a run found, written with COPY: a row at a time would take longer than finding it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache

import msgspec
from django.db import connection

from settlement.outcome_record import outcome_record
from settlement.runs.contract_lines import whole_tokens
from settlement.runs.figures import ContractFigures
from settlement.statements.party_lines import PartyLine

_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_LINES = (
    "run_id, party_id, contract_id, counterparty_id, tokens, price_micros, amount_micros, value_micros,"
    " cumulative_micros, exact_numerator, exact_denominator, contract_place, place, tax_rate_ppm, tax_category, kind,"
    " beneficiary, reference, ref"
)
_POSITIONS = "run_id, contract_id, buyer_id, provider_id, outcome, evidence, metering, reference"
_UNMATCHED = "run_id, contract_id, buyer_id, provider_id, tokens, evidence"


def copy_rows(table: str, columns: str, rows: Iterable[str]) -> None:
    """Write rows in the text format of COPY, each without its newline."""
    data = "\n".join(rows)
    if not data:
        return
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
        copy.write(data + "\n")


@lru_cache(maxsize=4096)  # the lines of a contract name few things, many times
def text(value: str) -> str:
    """A text as COPY takes it."""
    return value.translate(_ESCAPED)


def copy_lines(
    run_id: int, contract_id: int, contract_place: int, lines: Iterable[PartyLine], ids: Mapping[str, int]
) -> None:
    """The lines of a contract. `ids` are the parties by code."""
    rows = []
    for line in lines:
        other = ids[line.counterparty] if line.counterparty else "\\N"
        tokens = "\\N" if line.tokens is None else line.tokens
        price = "\\N" if line.price_micros is None else line.price_micros
        numerator, denominator = line.exact
        rows.append(
            f"{run_id}\t{ids[line.party]}\t{contract_id}\t{other}\t{tokens}\t{price}\t{line.amount_micros}"
            f"\t{line.value_micros}\t{line.cumulative_micros}\t{numerator}\t{denominator}\t{contract_place}"
            f"\t{line.place}\t{line.tax_rate_ppm}\t{text(line.tax_category)}\t{line.kind}\t{line.beneficiary}"
            f"\t{text(line.reference)}\t{line.ref}"
        )
    copy_rows("settlement_settlementline", _LINES, rows)


def copy_positions(
    run_id: int, contract_id: int, figures: ContractFigures, references: Iterable[str], ids: Mapping[str, int]
) -> bytes:
    """The positions of a contract, each with the reference of the transaction that posts it; the SHA-256 of their
    outcomes in that order."""
    outcomes = [msgspec.json.encode(outcome_record(figure.outcome)) for figure in figures.positions]
    copy_rows(
        "settlement_positionsettlement",
        _POSITIONS,
        [
            f"{run_id}\t{contract_id}\t{ids[figure.position.buyer]}\t{ids[figure.position.provider]}"
            f"\t{_document(outcome.decode())}\t{_json(figure.evidence)}\t{_document(figure.metering)}"
            f"\t{text(reference)}"
            for figure, outcome, reference in zip(figures.positions, outcomes, references, strict=True)
        ],
    )
    return hashlib.sha256(b"\n".join(outcomes)).digest()


def copy_unmatched(run_id: int, contract_id: int, figures: ContractFigures, ids: Mapping[str, int]) -> None:
    """The usage of pairs without a position."""
    copy_rows(
        "settlement_unmatchedusage",
        _UNMATCHED,
        [
            f"{run_id}\t{contract_id}\t{ids[each.pair.buyer]}\t{ids[each.pair.provider]}"
            f"\t{whole_tokens(each.usage)}\t{_json(each.evidence)}"
            for each in figures.unmatched
        ],
    )


def _json(value: object) -> str:
    return _document(msgspec.json.encode(value).decode())


def _document(value: str) -> str:
    """A JSON text as COPY takes it: there are no control characters in one."""
    return value.replace("\\", "\\\\") if "\\" in value else value
