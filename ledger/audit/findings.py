"""What an audit says: findings as data, check by check. Pure.

The JSON form is stable; programs may rely on it. Figures stand in the details as they are stored, in the asset's
smallest unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ledger.leaf import format_instant

KEPT = 100  # findings of one check that are told in full; all are counted
FORMAT = "tokenbourse-audit/1"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that should not be: of what (`transaction 17`, `account 5`, `batch 3`), and what about it."""

    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What a check saw in a part of its work: how many rows, and what it found there. Only the first are kept."""

    rows: int = 0
    found: int = 0
    findings: tuple[Finding, ...] = ()


def looked(rows: int, findings: Iterable[Finding]) -> Looked:
    """Count all findings and keep the first of them."""
    found = 0
    kept: list[Finding] = []
    for finding in findings:
        found += 1
        if len(kept) < KEPT:
            kept.append(finding)
    return Looked(rows, found, tuple(kept))


def together(parts: Iterable[Looked]) -> Looked:
    """Several parts of a check's work as one, in their order."""
    rows = found = 0
    kept: list[Finding] = []
    for part in parts:
        rows += part.rows
        found += part.found
        kept += part.findings[: KEPT - len(kept)]
    return Looked(rows, found, tuple(kept))


@dataclass(frozen=True, slots=True)
class CheckReport:
    """A check's outcome. `milliseconds` is the time it worked, on both of the audit's connections together."""

    name: str
    title: str
    advice: str
    milliseconds: int
    outcome: Looked

    def as_json(self) -> dict[str, Any]:
        return {
            "check": self.name,
            "title": self.title,
            "rows": self.outcome.rows,
            "milliseconds": self.milliseconds,
            "findings": [{"subject": finding.subject, "detail": finding.detail} for finding in self.outcome.findings],
            "found": self.outcome.found,
        }


@dataclass(frozen=True, slots=True)
class AuditReport:
    """A whole audit. It covered transactions from `from_transaction` through `through_transaction`.

    Instants are the product's clock's, which may be a simulation's; `milliseconds` is how long it really took.
    """

    scope: str
    actor: str
    started_at: datetime
    finished_at: datetime
    milliseconds: int
    from_transaction: int
    through_transaction: int
    through_batch: int
    entries: int
    checks: Sequence[CheckReport]

    @property
    def found(self) -> int:
        return sum(check.outcome.found for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "scope": self.scope,
            "actor": self.actor,
            "started_at": format_instant(self.started_at),
            "finished_at": format_instant(self.finished_at),
            "milliseconds": self.milliseconds,
            "from_transaction": self.from_transaction,
            "through_transaction": self.through_transaction,
            "through_batch": self.through_batch,
            "entries": self.entries,
            "findings": self.found,
            "checks": [check.as_json() for check in self.checks],
        }
