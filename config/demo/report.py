"""The day in figures: `report.json` for machines, a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from ledger.money import format_micros


@dataclass(frozen=True, slots=True)
class RawTokens:
    """Tokens of all distinct requests as the buyers' meters reported them, refused ones included."""

    input: int
    output: int


@dataclass(frozen=True, slots=True)
class UsageEvents:
    """Events sent, and what became of them."""

    sent: int
    accepted: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class ContractTokens:
    """sold = delivered + unused + short."""

    sold: int
    delivered: int
    unused: int
    short: int
    overage: int
    excess: int
    unmatched: int


@dataclass(frozen=True, slots=True)
class Micros:
    """Money of the day, in micros of the currency. `fees` are those of both sides."""

    notional: int
    paid_to_providers: int
    refunded: int
    damages: int
    overage: int
    fees: int


@dataclass(frozen=True, slots=True)
class LeftOver:
    """What the settled contracts still hold: nothing."""

    escrow: int
    entitlement: int
    obligation: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """The journal's size, and how many of its transactions do not sum to zero in an asset."""

    transactions: int
    entries: int
    unbalanced: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the audit of the whole ledger found, and how many of the downloaded proofs the offline verifier accepts."""

    audit_checks: int
    audit_findings: int
    proofs: int
    proofs_verified: int


@dataclass(frozen=True, slots=True)
class Statements:
    """Statements issued, and how many of their downloaded files the offline verifier accepts."""

    issued: int
    verified: int


@dataclass(frozen=True, slots=True)
class Seconds:
    """Real time that the day took."""

    trading: float
    metering: float
    settlement: float
    total: float


@dataclass(frozen=True, slots=True)
class Report:
    """The whole day; field names are the keys of report.json."""

    trace: str
    seed: int
    raw_tokens: RawTokens
    orders: int
    fills: int
    lots_traded: int
    usage_events: UsageEvents
    contract_tokens: ContractTokens
    micros: Micros
    left_over: LeftOver
    ledger: Ledger
    statements: Statements
    evidence: Evidence
    seconds: Seconds

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def faults(report: Report) -> list[str]:
    """What should be equal and is not. Empty after a good day."""
    tokens, statements = report.contract_tokens, report.statements
    found = []
    if tokens.delivered + tokens.unused + tokens.short != tokens.sold:
        found.append("delivered + unused + short is not what was sold")
    for name, amount in asdict(report.left_over).items():
        if amount:
            found.append(f"{amount} of {name} is left over")
    if report.ledger.unbalanced:
        found.append(f"{report.ledger.unbalanced} transactions are not balanced")
    if statements.issued != statements.verified:
        found.append(f"{statements.issued - statements.verified} statements do not verify")
    if report.evidence.audit_findings:
        found.append(f"the audit has {report.evidence.audit_findings} findings")
    if report.evidence.proofs != report.evidence.proofs_verified:
        found.append(f"{report.evidence.proofs - report.evidence.proofs_verified} proofs do not verify")
    if report.usage_events.accepted + report.usage_events.duplicates != report.usage_events.sent:
        found.append("some events were neither accepted nor duplicates")
    return found


def as_table(report: Report, currency: str) -> Table:
    """The report as a person would read it. Requests carry no names: who asked for what is a seeded assignment."""
    table = Table(
        title=f"One trading day on {report.trace}",
        caption=f"requests assigned to buyers by seed {report.seed}",
        show_header=False,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("part")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for part, value in report.to_json().items():
        if part in ("trace", "seed"):
            continue
        figures: Mapping[str, Any] = value if isinstance(value, dict) else {"": value}
        for place, (name, figure) in enumerate(figures.items()):
            title = f"{currency}" if part == "micros" else part.replace("_", " ")
            last = place == len(figures) - 1
            table.add_row("" if place else title, name.replace("_", " "), _shown(part, figure), end_section=last)
    return table


def _shown(part: str, figure: float) -> str:
    if part == "micros":
        return format_micros(int(figure))
    return f"{figure:.1f}" if part == "seconds" else f"{figure:,}"
