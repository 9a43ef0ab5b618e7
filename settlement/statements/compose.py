"""The content of a statement: what a party is owed and why, as a small JSON value with one canonical form. Pure.

The `core` follows from posted lines alone and is byte-identical after any restart; its records stand in a file of their
own, whose count and Merkle root it holds. The `annex` (issue time, transaction numbers, the proof that the core is in
the log) is signed with it but may differ. Amounts are decimal strings, times UTC; what is unknown is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from ledger.merkle import leaf_hash, tree_root
from ledger.money import format_micros
from settlement.netting import ratio_ppm
from settlement.statements.canonical import canonical_bytes, canonical_digest
from settlement.statements.document import Balances, ChainLink, balances_value, format_time
from settlement.statements.records import RecordsSummary

SCHEMA = "tokenbourse-statement/2"
NOTICE = "This is a statement, not an invoice."
HOUSE = "house"
TRANSACTIONS_LISTED = 100  # so that a statement's file stays small, whatever it tells of


@dataclass(frozen=True, slots=True)
class StatedRun:
    """The settlement run a statement reports. `input_digest` covers everything the run was computed from."""

    key: str
    kind: str
    sequence: int
    period_start: datetime
    period_end: datetime
    input_digest: bytes
    rules_version: str
    code_version: str
    product: str | None = None
    value_date: date | None = None
    dispute_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunInputs:
    """What the run read: usage calls up to this number, of so many contracts."""

    usage_through: int | None
    contracts: int


@dataclass(frozen=True, slots=True)
class StatementInput:
    """Everything a statement says besides its records. `chain` is None for indicative runs, which stand outside it.

    `previous_run` is the key of the run whose figures this one changes; None: of none.
    """

    party: str
    currency: str
    minor_unit: int
    run: StatedRun
    chain: ChainLink | None
    balances: Balances
    inputs: RunInputs
    previous_run: str | None = None
    contact: str = ""
    key_set: str = ""

    @property
    def statement_id(self) -> str:
        return statement_id(self.party, self.currency, self.run.key)


@dataclass(frozen=True, slots=True)
class LogProof:
    """That a core's digest is in the ledger's log: the proof of its transaction, a JSON text of its own as
    `ledger/verify.py` reads it, and the checkpoint that it rests on."""

    proof: str
    checkpoint: str


@dataclass(frozen=True, slots=True)
class Annex:
    """What may differ when the same statement is issued again. `transactions`: (source, reference, number)."""

    issued_at: datetime
    transactions: Sequence[tuple[str, str, int]] = ()
    log: LogProof | None = None
    key_set: str = ""


def statement_id(party: str, currency: str, run_key: str) -> str:
    """The name of a party's statement of a run."""
    return f"{party}/{currency}/{run_key}"


def compose_core(source: StatementInput, summary: RecordsSummary) -> dict[str, Any]:
    """The core as a JSON value."""
    core: dict[str, Any] = {
        "statement_id": source.statement_id,
        "party": source.party,
        "currency": source.currency,
        "minor_unit": source.minor_unit,
        "run": _run(source.run),
        "balances": balances_value(source.balances),
        "records": {
            "count": summary.count,
            "lines": summary.lines,
            "metering": summary.metering,
            "splits": summary.splits,
            "root": summary.root.hex(),
        },
        "totals": _totals(summary),
        "delta": _delta(source.previous_run, summary),
        "netting": _netting(source.run.value_date, summary),
        "notice": _notice(source),
        "inputs": _inputs(source.inputs),
    }
    if source.chain is not None:
        core["sequence"] = source.chain.sequence
        if source.chain.previous_digest is not None:
            core["previous_digest"] = source.chain.previous_digest.hex()
    return core


def statement_payload(core: Mapping[str, Any], annex: Annex) -> dict[str, Any]:
    """The value that is signed."""
    return {"schema": SCHEMA, "core": core, "core_digest": canonical_digest(core).hex(), "annex": _annex(annex)}


def _run(run: StatedRun) -> dict[str, Any]:
    value: dict[str, Any] = {
        "key": run.key,
        "kind": run.kind,
        "sequence": run.sequence,
        "period": {"start": format_time(run.period_start), "end": format_time(run.period_end)},
        "input_digest": run.input_digest.hex(),
        "rules_version": run.rules_version,
        "code_version": run.code_version,
    }
    return value if run.product is None else value | {"product": run.product}


def _totals(summary: RecordsSummary) -> dict[str, Any]:
    return {
        "amount": format_micros(summary.gross_in_micros - summary.gross_out_micros),
        "by_kind": [
            {
                "kind": kind,
                "lines": totals.lines,
                "tokens": str(totals.tokens),
                "value": format_micros(totals.value_micros),
                "amount": format_micros(totals.amount_micros),
            }
            for kind, totals in sorted(summary.by_kind.items())
        ],
    }


def _delta(previous_run: str | None, summary: RecordsSummary) -> dict[str, Any]:
    """By kind of line, what its lines came to before this run, what the run made of them, and what they come to."""
    value: dict[str, Any] = {
        "by_kind": [
            {
                "kind": kind,
                "previous": format_micros(totals.cumulative_micros - totals.value_micros),
                "value": format_micros(totals.value_micros),
                "cumulative": format_micros(totals.cumulative_micros),
            }
            for kind, totals in sorted(summary.by_kind.items())
        ]
    }
    return value if previous_run is None else value | {"previous_run": previous_run}


def _netting(value_date: date | None, summary: RecordsSummary) -> dict[str, Any]:
    gross_in, gross_out = summary.gross_in_micros, summary.gross_out_micros
    value: dict[str, Any] = {
        "gross_in": format_micros(gross_in),
        "gross_out": format_micros(gross_out),
        "net": format_micros(gross_in - gross_out),
        "ratio_ppm": ratio_ppm(gross_in + gross_out, abs(gross_in - gross_out)),
        "counter_account": HOUSE,
    }
    return value if value_date is None else value | {"value_date": value_date.isoformat()}


def _notice(source: StatementInput) -> dict[str, Any]:
    until = source.run.dispute_until
    optional = {
        "dispute_until": None if until is None else format_time(until),
        "contact": source.contact or None,
        "key_set": source.key_set or None,
    }
    return {"text": NOTICE} | _known(optional)


def _inputs(inputs: RunInputs) -> dict[str, Any]:
    through = inputs.usage_through
    return {"contracts": inputs.contracts} | ({} if through is None else {"usage_through": str(through)})


def _annex(annex: Annex) -> dict[str, Any]:
    value: dict[str, Any] = {"issued_at": format_time(annex.issued_at)} | _transactions(annex.transactions)
    if annex.log is not None:
        value |= {"proof": annex.log.proof, "checkpoint": annex.log.checkpoint}
    return value | ({"key_set": annex.key_set} if annex.key_set else {})


def _transactions(transactions: Sequence[tuple[str, str, int]]) -> dict[str, Any]:
    """The transactions, or their number and Merkle root when there are too many to list."""
    listed = [
        {"source": source, "reference": reference, "number": str(number)} for source, reference, number in transactions
    ]
    if len(listed) <= TRANSACTIONS_LISTED:
        return {"transactions": listed}
    root = tree_root([leaf_hash(canonical_bytes(each)) for each in listed])
    return {"transactions_count": len(listed), "transactions_root": root.hex()}


def _known(members: dict[str, Any]) -> dict[str, Any]:
    """Without what is unknown: a statement holds no null."""
    return {name: value for name, value in members.items() if value is not None}
