"""Statements of the first form, as releases before 0.4 made them: lines inside the core. Verifier and pages still read
them; here they are made for their tests.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ledger.merkle import leaf_hash, tree_root
from ledger.money import format_micros
from settlement.statements.canonical import canonical_bytes, canonical_digest
from settlement.statements.document import Balances, ChainLink, balances_value, format_time

SCHEMA = "tokenbourse-statement/1"
NOTICE = "This is a statement, not an invoice."


@dataclass(frozen=True, slots=True)
class RunInfo:
    """The settlement run a statement reports. `input_digest` covers everything the run was computed from."""

    key: str
    kind: str
    number: int
    period_start: datetime
    period_end: datetime
    input_digest: bytes
    rules_version: str


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One line. `amount_micros` is what it changed on the party's cash account, signed; `value_micros` what it is worth
    at its price, which for a buyer's delivered tokens was paid out of escrow. `reference` names the posting, none if
    nothing was posted."""

    contract: str
    window_start: datetime
    window_end: datetime
    kind: str
    amount_micros: int
    value_micros: int
    tax_category: str
    tax_rate_ppm: int
    counterparty: str | None = None
    tokens: int | None = None
    price_micros: int | None = None
    beneficiary: str | None = None
    source: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class MeteringFigure:
    """What the meters said about a position, in milli-contract-tokens. None: that party's meter said nothing.

    `meters` has raw tokens by bucket with the trust class of each, how the requests compare, open cases, how complete
    each side's reports are and how many of them were signed; see `settlement.runs.usage_evidence`.
    """

    contract: str
    counterparty: str
    settled_millitokens: int
    provider_millitokens: int | None = None
    buyer_millitokens: int | None = None
    refused_millitokens: int = 0  # counted refused demand
    meters: Mapping[str, Any] = field(default_factory=dict)  # further members, ready for JSON


@dataclass(frozen=True, slots=True)
class SplitFigure:
    """How a net amount of a position was shared out."""

    contract: str
    counterparty: str
    kind: str  # what was shared: "pay_provider" or "overage"
    schedule_version: int
    beneficiary: str
    weight_ppm: int
    micros: int


@dataclass(frozen=True, slots=True)
class StatementCore:
    """Everything a statement says. `chain` is None for indicative runs, which stand outside it."""

    party: str
    currency: str
    run: RunInfo
    chain: ChainLink | None
    balances: Balances
    lines: Sequence[StatementLine]
    metering: Sequence[MeteringFigure] = ()
    splits: Sequence[SplitFigure] = ()


@dataclass(frozen=True, slots=True)
class Annex:
    """What may differ when the same statement is issued again. `transactions`: (source, reference, number)."""

    issued_at: datetime
    transactions: Sequence[tuple[str, str, int]] = ()
    checkpoint: str | None = None
    key_set: str | None = None  # where the public keys are published


def statement_core(statement: StatementCore) -> dict[str, Any]:
    """The core as a JSON value."""
    lines = [_line(number, line) for number, line in enumerate(statement.lines, start=1)]
    run = statement.run
    core: dict[str, Any] = {
        "statement_id": f"{statement.party}/{statement.currency}/{run.key}",
        "party": statement.party,
        "currency": statement.currency,
        "run": {
            "key": run.key,
            "kind": run.kind,
            "number": run.number,
            "period": _window(run.period_start, run.period_end),
            "input_digest": run.input_digest.hex(),
            "rules_version": run.rules_version,
        },
        "balances": balances_value(statement.balances),
        "lines": lines,
        "lines_count": len(lines),
        "lines_root": lines_root(lines).hex(),
        "totals": _totals(statement.lines),
        "metering": [_metering(figure) for figure in statement.metering],
        "splits": [_split(figure) for figure in statement.splits],
        "notice": NOTICE,
    }
    if statement.chain is not None:
        core["sequence"] = statement.chain.sequence
        if statement.chain.previous_digest is not None:
            core["previous_digest"] = statement.chain.previous_digest.hex()
    return core


def lines_root(lines: Iterable[Any]) -> bytes:
    """RFC 6962 root; a leaf's content is the canonical form of a line."""
    return tree_root([leaf_hash(canonical_bytes(line)) for line in lines])


def core_digest(core: dict[str, Any]) -> bytes:
    """What the next statement names as `previous_digest`: SHA-256 of the core's canonical form."""
    return canonical_digest(core)


def statement_payload(core: dict[str, Any], annex: Annex) -> dict[str, Any]:
    """The value that is signed."""
    return {"schema": SCHEMA, "core": core, "core_digest": core_digest(core).hex(), "annex": _annex(annex)}


def _window(start: datetime, end: datetime) -> dict[str, str]:
    return {"start": format_time(start), "end": format_time(end)}


def _line(number: int, line: StatementLine) -> dict[str, Any]:
    value: dict[str, Any] = {
        "number": number,
        "contract": line.contract,
        "window": _window(line.window_start, line.window_end),
        "kind": line.kind,
        "value": format_micros(line.value_micros),
        "amount": format_micros(line.amount_micros),
        "tax": {"category": line.tax_category, "rate_ppm": line.tax_rate_ppm},
    }
    optional = {
        "counterparty": line.counterparty,
        "beneficiary": line.beneficiary,
        "tokens": None if line.tokens is None else str(line.tokens),
        "price": None if line.price_micros is None else format_micros(line.price_micros),
        "journal": None if line.reference is None else {"source": line.source, "reference": line.reference},
    }
    return value | _known(optional)


def _totals(lines: Iterable[StatementLine]) -> dict[str, Any]:
    by_kind: dict[str, list[StatementLine]] = defaultdict(list)
    for line in lines:
        by_kind[line.kind].append(line)
    return {
        "amount": format_micros(sum(line.amount_micros for same in by_kind.values() for line in same)),
        "by_kind": [
            {
                "kind": kind,
                "lines": len(same),
                "tokens": str(sum(line.tokens or 0 for line in same)),
                "value": format_micros(sum(line.value_micros for line in same)),
                "amount": format_micros(sum(line.amount_micros for line in same)),
            }
            for kind, same in sorted(by_kind.items())
        ],
    }


def _metering(figure: MeteringFigure) -> dict[str, Any]:
    provider, buyer = figure.provider_millitokens, figure.buyer_millitokens
    value = {
        "contract": figure.contract,
        "counterparty": figure.counterparty,
        "settled_millitokens": str(figure.settled_millitokens),
        "refused_millitokens": str(figure.refused_millitokens),
    }
    optional = {
        "provider_millitokens": None if provider is None else str(provider),
        "buyer_millitokens": None if buyer is None else str(buyer),
        "difference_millitokens": None if provider is None or buyer is None else str(provider - buyer),
    }
    return {**figure.meters, **value, **_known(optional)}


def _split(figure: SplitFigure) -> dict[str, Any]:
    return {
        "contract": figure.contract,
        "counterparty": figure.counterparty,
        "kind": figure.kind,
        "schedule_version": figure.schedule_version,
        "beneficiary": figure.beneficiary,
        "weight_ppm": figure.weight_ppm,
        "amount": format_micros(figure.micros),
    }


def _annex(annex: Annex) -> dict[str, Any]:
    value: dict[str, Any] = {
        "issued_at": format_time(annex.issued_at),
        "transactions": [
            {"source": source, "reference": reference, "number": str(number)}
            for source, reference, number in annex.transactions
        ],
    }
    return value | _known({"checkpoint": annex.checkpoint, "key_set": annex.key_set})


def _known(members: dict[str, Any]) -> dict[str, Any]:
    """Without what is unknown: a statement holds no null."""
    return {name: value for name, value in members.items() if value is not None}
