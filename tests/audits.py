"""Audits for tests: what they find, and the owner's hand that gives them something to find."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from ledger.audit.findings import AuditReport
from ledger.audit.run import run_audit
from ledger.models import AuditScope
from tests.conftest import DatabaseUrls

NOW = datetime(2026, 12, 2, 2, 30, tzinfo=UTC)


class StandingClock:
    """A clock that always says the same."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


def audit(*names: str, scope: AuditScope = AuditScope.FULL, at: datetime = NOW) -> AuditReport:
    """An audit with these checks, or with all of them."""
    return run_audit(scope, actor="auditor", clock=StandingClock(at), names=names)


def findings(report: AuditReport) -> dict[str, list[tuple[str, str]]]:
    """What was found, by check; checks without findings are left out."""
    return {
        check.name: [(finding.subject, finding.detail) for finding in check.outcome.findings]
        for check in report.checks
        if check.outcome.found
    }


def found_by(report: AuditReport) -> dict[str, list[str]]:
    """The subjects of the findings, by check."""
    return {name: [subject for subject, _ in told] for name, told in findings(report).items()}


def tamper(database: DatabaseUrls, statement: str, parameters: Sequence[Any] = ()) -> None:
    """Run a statement as the owner with all triggers off, as somebody with the owner's password could."""
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        tables = owner.execute(
            "SELECT tablename FROM pg_tables WHERE tablename ~ '^(ledger|exchange|settlement)_'"
        ).fetchall()
        for (table,) in tables:
            owner.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(sql.Identifier(table)))
        owner.execute(sql.SQL(statement), parameters)
        for (table,) in tables:
            owner.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(sql.Identifier(table)))
