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


class MalformedGzip(DomainError):
    """The body says that it is gzipped, and is not, or ends too early. Send it again whole, or unpacked."""

    code = "malformed_gzip"


class InvalidPeriod(DomainError):
    """A settlement period is empty, not of whole UTC minutes, or not over yet."""

    code = "invalid_period"


class ContractNotDelivered(DomainError):
    """A contract of the period is not in the state to be settled."""

    code = "contract_not_delivered"
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


class InvalidMeterKey(DomainError):
    """Not an Ed25519 public key under which a signature means something, or a key that a meter has already."""

    code = "invalid_meter_key"


class MeterKeyMissing(DomainError):
    """A meter without a current key cannot be held to signing its calls."""

    code = "meter_key_missing"
    category = Category.CONFLICT


class InvalidSignature(DomainError):
    """A call's signature is not of the one form that is read, does not fit the call, or is of no key of the caller's.

    Nothing of the call was kept. Sign exactly what is sent, with a key registered for the meter.
    """

    code = "invalid_signature"
    category = Category.UNAUTHENTICATED


class UsageDayNeeded(DomainError):
    """A day of usage events may not be put aside yet: it is too young, not rolled up, or not finally settled."""

    code = "usage_day_needed"
    category = Category.CONFLICT


class UnknownUsageDay(DomainError):
    """There is no such day among the usage events, or among those that were put aside."""

    code = "unknown_usage_day"
    category = Category.NOT_FOUND


class UsageDayChanged(DomainError):
    """A day of usage events that was put aside is not what it was then. Restore its table from a backup."""

    code = "usage_day_changed"
    category = Category.CONFLICT


class TooManyRecords(DomainError):
    """Usage records are asked for without a contract, a call or quarantine to look under."""

    code = "too_many_records"


class CaseNotFound(DomainError):
    """There is no such discrepancy case, or it is none of the caller's. Ask for the list of cases."""

    code = "case_not_found"
    category = Category.NOT_FOUND


class WrongCaseState(DomainError):
    """The state of a discrepancy case does not allow that. Read the case again."""

    code = "wrong_case_state"
    category = Category.CONFLICT


class TooManyStatements(DomainError):
    """A party has said enough in a case; what more there is to say goes to an operator."""

    code = "too_many_statements"
    category = Category.REFUSED


class NothingToRule(DomainError):
    """In a case of this kind there is no other record to settle by: only the minimum can be ruled."""

    code = "nothing_to_rule"
    category = Category.REFUSED


class ToleranceNotZeroed(DomainError):
    """Only a tolerance that was set to zero can be restored."""

    code = "tolerance_not_zeroed"
    category = Category.CONFLICT


class RequestNotOpen(DomainError):
    """What two people decide is decided once, by another person than the one who asked."""

    code = "request_not_open"
    category = Category.CONFLICT
