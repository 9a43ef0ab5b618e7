"""Why an audit cannot be made."""

from __future__ import annotations

from ledger.errors import Category, DomainError


class UnknownCheck(DomainError):
    """The audit has no check of this name."""

    code = "unknown_check"


class AuditFailed(DomainError):
    """The audit could not be completed, so it says nothing about the ledger."""

    code = "audit_failed"
    category = Category.BUSY
