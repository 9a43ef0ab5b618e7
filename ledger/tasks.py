"""Celery tasks of the ledger: rung by beat, they look up themselves what is due."""

from __future__ import annotations

import logging

from celery import shared_task

from ledger.audit.run import run_audit
from ledger.clock import get_clock
from ledger.log.checkpoints import publish_checkpoint as publish
from ledger.log.seals import seal_ended_periods
from ledger.models import AuditScope

ACTOR = "ledger"

logger = logging.getLogger(__name__)


@shared_task(name="ledger.publish_checkpoint")
def publish_checkpoint() -> None:
    """Sign the head of the log, if there is anything new."""
    publish(now=get_clock().now())


@shared_task(name="ledger.seal_periods")
def seal_periods() -> None:
    """Seal the balances of days and months that have ended."""
    seal_ended_periods(actor=ACTOR, now=get_clock().now())


@shared_task(name="ledger.audit")
def audit(scope: str = AuditScope.FULL) -> None:
    """Audit the ledger, and say aloud what is not as it should be; the audit's page has it all."""
    report = run_audit(AuditScope(scope), actor=ACTOR, clock=get_clock())
    for check in report.checks:
        for finding in check.outcome.findings:
            logger.error("audit: %s: %s: %s", check.name, finding.subject, finding.detail)
    if report.found:
        logger.error("audit: %d findings; manage.py audit_ledger says what to do about them", report.found)
