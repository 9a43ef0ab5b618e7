"""What can be wrong with a bundle: a closed list, each with a stable code and a detail for a person. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from settlement.runs.errors import InvalidBundle


class FaultCode(StrEnum):
    """Why a bundle is refused."""

    UNREADABLE = "unreadable"  # neither a folder nor a zip file of plain files with a manifest
    TOO_LARGE = "too_large"  # larger than anything that a run comes to
    BAD_KEYS = "bad_keys"  # the key set cannot be read
    WRONG_SCHEMA = "wrong_schema"  # the manifest is of another form, or lacks a member
    FILE_MISSING = "file_missing"  # named by the manifest and not there
    FILE_UNLISTED = "file_unlisted"  # there and not named by the manifest
    FILE_CHANGED = "file_changed"  # not what the manifest has the digest of
    FILE_MALFORMED = "file_malformed"  # cannot be read as what it should be
    WRONG_INPUTS = "wrong_inputs"  # what was frozen is not what the statements were signed over
    WRONG_EVENTS = "wrong_events"  # the usage events are not those that were frozen
    WRONG_EVENT = "wrong_event"  # an event is not what its meter said, or what no meter could have said
    WRONG_EARLIER = "wrong_earlier"  # what was posted before is not what the run before comes to
    WRONG_ENTRIES = "wrong_entries"  # the entries do not lead from the opening to the closing balance
    WRONG_POSTINGS = "wrong_postings"  # the ledger moved other than the lines say
    WRONG_DEBTS = "wrong_debts"  # debts and claims are not those of what the run changed
    STATEMENT_MISSING = "statement_missing"  # somebody has lines and no statement, or the other way round
    BAD_STATEMENT = "bad_statement"  # the statement's own verifier refuses it
    BAD_CHECKPOINT = "bad_checkpoint"  # the ledger's verifier refuses it
    WRONG_SEED = "wrong_seed"  # the records have other salts
    RECORDS_DIFFER = "records_differ"  # the records are not what the inputs come to
    CORE_DIFFERS = "core_differs"  # the core is not what the inputs come to


# What is no bundle, rather than a wrong one.
MALFORMED = frozenset(
    {FaultCode.UNREADABLE, FaultCode.TOO_LARGE, FaultCode.BAD_KEYS, FaultCode.WRONG_SCHEMA, FaultCode.FILE_MALFORMED}
)


class BundleFault(InvalidBundle):
    """A fault after which nothing further can be computed."""

    def __init__(self, fault: FaultCode, detail: str) -> None:
        super().__init__(f"{fault}: {detail}", fault=fault.value)
        self.fault, self.detail = fault, detail


@dataclass(frozen=True, slots=True)
class Check:
    """One step of a recomputation: what was looked at, and the code of what is wrong with it, empty if it holds."""

    what: str
    code: str = ""
    detail: str = ""

    @property
    def ok(self) -> bool:
        return not self.code
