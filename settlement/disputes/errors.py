"""What disputes refuse."""

from __future__ import annotations

from ledger.errors import Category, DomainError


class DisputeNotFound(DomainError):
    """There is no such dispute, or it is none of the caller's. Ask for the list of disputes."""

    code = "dispute_not_found"
    category = Category.NOT_FOUND


class DisputeTooLate(DomainError):
    """The deadline that the statement names for disputes has passed."""

    code = "dispute_too_late"
    category = Category.REFUSED


class LineNotDisputable(DomainError):
    """A dispute names a line of the party's own posted statement, and at most that line's amount."""

    code = "line_not_disputable"
    category = Category.REFUSED


class DisputesExceedPosition(DomainError):
    """What a party disputes of a position at a time is at most what was paid for it. Withdraw another dispute first."""

    code = "disputes_exceed_position"
    category = Category.REFUSED


class DisputeExists(DomainError):
    """The line is under dispute already. Add evidence there."""

    code = "dispute_exists"
    category = Category.CONFLICT


class DisputeWithdrawnTooOften(DomainError):
    """The line was disputed and withdrawn as often as is taken. What there is to say goes to an operator."""

    code = "dispute_withdrawn_too_often"
    category = Category.REFUSED


class WrongDisputeState(DomainError):
    """The state of a dispute does not allow that. Read the dispute again."""

    code = "wrong_dispute_state"
    category = Category.CONFLICT


class EvidenceTooLarge(DomainError):
    """A file of evidence is empty, larger than what is taken, or one more than a dispute may have."""

    code = "evidence_too_large"


class EvidenceMismatch(DomainError):
    """A file is not what its digest says, or there is no such usage record of the position. Send what you have."""

    code = "evidence_mismatch"
