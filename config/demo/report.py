"""The day in figures: `report.json` for machines, a table for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from config.demo.second_opinions import SecondOpinions
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
    """What the settled contracts still hold, and what is still in suspense: nothing."""

    escrow: int
    entitlement: int
    obligation: int
    suspense: int


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
class Run:
    """A settlement run: its contracts, positions and statements."""

    contracts: int
    positions: int
    statements: int


@dataclass(frozen=True, slots=True)
class Disputed:
    """One dispute: what a buyer asked for, what was in suspense until it was decided, and what was decided for it."""

    disputed_micros: int
    suspended_micros: int
    decided_micros: int
    settled: int  # disputes; 1 after a good day


@dataclass(frozen=True, slots=True)
class Payments:
    """What was netted by value date and paid out. `saved_ppm`: the part of the gross that need not be paid."""

    netting_sets: int
    parties: int
    gross_micros: int
    net_micros: int
    saved_ppm: int
    instructed: int
    confirmed: int
    paid_micros: int


@dataclass(frozen=True, slots=True)
class Recomputed:
    """The final run computed anew from its bundle alone: how many statements, and how many faults were found."""

    statements: int
    events: int
    faults: int


@dataclass(frozen=True, slots=True)
class Fault:
    """How many events or requests were spoilt in a way, and how many of them the exchange found."""

    injected: int
    caught: int


@dataclass(frozen=True, slots=True)
class Shaving:
    """A few tokens too many in many small figures. What no single figure shows, the bias register of the pair does.

    `inside_tolerance` settled as shaved, for `inside_tolerance_micros` in all: before the tolerance of the pair was
    taken. `pairs` of the provider with a buyer in a product lean by what was added; `caught_pairs` lost their
    tolerance.
    """

    requests: int
    tokens: int
    caught: int
    inside_tolerance: int
    inside_tolerance_micros: int
    pairs: int
    caught_pairs: int


@dataclass(frozen=True, slots=True)
class InjectedFaults:
    """What was done to the meters' reports, and what was caught of it."""

    duplicates: Fault
    late: Fault
    lost_ends: Fault
    shaving: Shaving
    reasoning_inflation: Fault


@dataclass(frozen=True, slots=True)
class Metering:
    """What became of the meters' word. `cases` by kind; `zeroed_pairs` have no tolerance left.

    `rollup_differences` are minutes whose sums are not what the events come to. `money_error_micros` is what settled
    against what honest meters alone would have given, whatever its sign, without what was shaved inside the tolerance.
    """

    faults: InjectedFaults
    quarantined: int
    conflicts: int
    signed_events: int
    cases: dict[str, int]
    zeroed_pairs: int
    rollup_differences: int
    money_error_micros: int


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
    metering: Metering
    contract_tokens: ContractTokens
    micros: Micros
    left_over: LeftOver
    ledger: Ledger
    runs: dict[str, Run]  # by kind
    dispute: Disputed
    payments: Payments
    statements: Statements
    second_opinions: SecondOpinions
    recomputed: Recomputed
    evidence: Evidence
    seconds: Seconds

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


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
        figures = list(_flat(value)) if isinstance(value, dict) else [("", value)]
        for place, (name, figure) in enumerate(figures):
            title = f"{currency}" if part == "micros" else part.replace("_", " ")
            last = place == len(figures) - 1
            table.add_row("" if place else title, _title(name, currency), _shown(part, name, figure), end_section=last)
    return table


def _flat(figures: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Figures of figures under both names."""
    for name, figure in figures.items():
        if isinstance(figure, dict):
            yield from _flat(figure, f"{prefix}{name}: ")
        else:
            yield f"{prefix}{name}", figure


def _title(name: str, currency: str) -> str:
    return name.removeprefix("faults: ").replace("_micros", f", {currency}").replace("_", " ")


def _shown(part: str, name: str, figure: Any) -> str:
    if figure is None:
        return "not installed"
    if isinstance(figure, tuple):
        return ", ".join(figure) or "none"
    if part == "micros" or name.endswith("_micros"):
        return format_micros(int(figure))
    return f"{figure:.1f}" if part == "seconds" else f"{figure:,}"
