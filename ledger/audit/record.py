"""Audits on record: kept for ever, and where the next incremental one goes on from."""

from __future__ import annotations

from ledger.audit.findings import AuditReport
from ledger.audit.snapshot import Base
from ledger.models import AuditRun


def keep(report: AuditReport) -> AuditRun:
    """Put an audit on record."""
    return AuditRun.objects.create(
        scope=report.scope,
        actor=report.actor,
        started_at=report.started_at,
        finished_at=report.finished_at,
        from_transaction=report.from_transaction,
        through_transaction=report.through_transaction,
        through_batch=report.through_batch,
        entries=report.entries,
        findings=report.found,
        report=[check.as_json() for check in report.checks],
    )


def last_clean_run() -> Base:
    """Where the newest audit without findings ended; the beginning of the journal if there is none."""
    clean = AuditRun.objects.filter(findings=0).order_by("-id").first()
    if clean is None:
        return Base()
    return Base(clean.through_transaction, clean.through_batch, clean.started_at)
