"""One full audit in a process of its own, so that its memory is nobody else's.

    python -m tests.bench.ledger.audit_process

Works on DATABASE_URL and prints a line of JSON: the seconds of the audit without the start of the process, its entries
and findings, and how many MiB the process held at most.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass

from tests.bench.process import ask_module, watched_memory


@dataclass(frozen=True, slots=True)
class AuditOutcome:
    """What the process says of its audit."""

    seconds: float
    entries: int
    findings: int
    peak_mib: float


def audit_elsewhere(database_url: str) -> AuditOutcome:
    """Run this module on a database. Raises `CalledProcessError` when it fails."""
    return AuditOutcome(**ask_module("tests.bench.ledger.audit_process", database_url))


def audit_here() -> AuditOutcome:
    """Audit the database that the settings name, watching this process's memory."""
    import django

    django.setup()
    from ledger.audit.run import run_audit
    from ledger.clock import get_clock
    from ledger.models import AuditScope

    with watched_memory() as peak_mib:
        started = time.perf_counter()
        report = run_audit(AuditScope.FULL, actor="bench", clock=get_clock())
        return AuditOutcome(time.perf_counter() - started, report.entries, report.found, peak_mib())


if __name__ == "__main__":
    print(json.dumps(asdict(audit_here())))
