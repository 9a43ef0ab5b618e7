"""Refusals of settlement. Stable codes; see `ledger.errors`."""

from __future__ import annotations

from ledger.errors import Category, DomainError


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


class InvalidPeriod(DomainError):
    """A settlement period is empty, not of whole UTC minutes, or not over yet."""

    code = "invalid_period"


class ContractNotDelivered(DomainError):
    """A contract of the period is not in the state to be settled."""

    code = "contract_not_delivered"
    category = Category.CONFLICT


class InitialRunMissing(DomainError):
    """A final run follows the published initial run of the same period."""

    code = "initial_run_missing"
    category = Category.CONFLICT


class LedgerDisagrees(DomainError):
    """A contract's escrow, entitlements or obligations are not what its fills say. Nothing may be settled on that."""

    code = "ledger_disagrees"
    category = Category.CONFLICT


class LeaseLost(DomainError):
    """Another worker has taken the job over; what this one was about to write no longer counts."""

    code = "lease_lost"
    category = Category.CONFLICT


class JobNotFailed(DomainError):
    """Only a failed job can be sent again."""

    code = "job_not_failed"
    category = Category.CONFLICT


class InvalidMeter(DomainError):
    """A meter's code or side does not fit, or the code is taken."""

    code = "invalid_meter"
