"""Refusals of settlement. Stable codes; see `ledger.errors`."""

from __future__ import annotations

from ledger.errors import DomainError


class InvalidPosition(DomainError):
    """The figures of a position contradict each other or are out of range."""

    code = "invalid_position"


class InvalidSplitSchedule(DomainError):
    """The shares of a schedule do not make up the whole, or a share does not say whose it is."""

    code = "invalid_split_schedule"


class InvalidTokenWeights(DomainError):
    """Token weights are not whole numbers of at least 0, or a usage bucket has none."""

    code = "invalid_token_weights"


class InvalidStatement(DomainError):
    """A statement's content cannot be written in canonical form, or the file is not a signed statement."""

    code = "invalid_statement"


class BatchTooLarge(DomainError):
    """More usage events in one call than are taken."""

    code = "batch_too_large"
