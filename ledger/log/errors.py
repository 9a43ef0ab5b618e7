"""What the log refuses."""

from __future__ import annotations

from ledger.errors import Category, DomainError


class NotInCheckpointYet(DomainError):
    """No published checkpoint covers it yet; the next one will, within seconds."""

    code = "not_in_checkpoint_yet"
    category = Category.BUSY


class LogInconsistent(DomainError):
    """The ledger's record does not follow from what was signed before; nothing is signed until a person has looked."""

    code = "log_inconsistent"
    category = Category.CONFLICT


class EvidenceBroken(DomainError):
    """Stored rows no longer give the hash that was recorded when they were posted."""

    code = "evidence_broken"
    category = Category.CONFLICT


class InvalidSealPeriod(DomainError):
    """A sealed period is a UTC day such as 2026-12-01 or a month such as 2026-12."""

    code = "invalid_seal_period"


class PeriodNotOver(DomainError):
    """A period is sealed after its end."""

    code = "period_not_over"
    category = Category.REFUSED
