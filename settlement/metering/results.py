"""What becomes of an event, and the closed list of reasons why. Pure.

With the reasons of `QuarantineReason`, which concern the usage object alone, these are all codes there are.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class ItemStatus(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"  # the same again: as good as accepted
    CONFLICT = "conflict"  # the id came before with other content, which stands
    QUARANTINED = "quarantined"  # kept, not settled
    REJECTED = "rejected"  # not kept; correct it and send it again


class RejectCode(StrEnum):
    """Why an event is not even kept: nobody could say whose it is, or it cannot be read."""

    INVALID_EVENT = "invalid_event"  # a member is missing, has the wrong type, or cannot be stored
    DUPLICATE_MEMBER = "duplicate_member"  # an object names a member twice, so two readers could read two things
    EVENT_TOO_LARGE = "event_too_large"
    UNKNOWN_METER = "unknown_meter"  # no meter of this name, or another party's
    UNKNOWN_CONTRACT = "unknown_contract"
    UNKNOWN_PARTY = "unknown_party"
    NOT_YOUR_USAGE = "not_your_usage"  # a party's meter told of a pair that the party is not in
    SIGNATURE_REQUIRED = "signature_required"  # the meter's party wants nothing unsigned to count
    NOT_SIGNED_BY_METER = "not_signed_by_meter"  # the call is signed with another meter's key
    WATERMARK_OUT_OF_ORDER = "watermark_out_of_order"  # it contradicts one that came before, or the time it is


class IntakeQuarantine(StrEnum):
    """Why a readable event is kept aside. Of several reasons the first in this order is told, those of the usage object
    after the ones about corrections."""

    TOO_OLD = "too_old"  # time or accepted_at is more than 35 days back
    IN_FUTURE = "in_future"  # time or accepted_at is more than five minutes ahead
    OUTSIDE_WINDOW = "outside_window"  # accepted_at is not in the contract's delivery window
    AFTER_FINAL_RUN = "after_final_run"
    AGGREGATE_NOT_SIGNED = "aggregate_not_signed"
    AGGREGATE_NOT_A_MINUTE = "aggregate_not_a_minute"  # it begins within a minute
    SUPERSEDES_UNKNOWN = "supersedes_unknown"  # there is no such event of this meter, or it replaced nothing itself
    SUPERSEDES_CORRECTED = "supersedes_corrected"  # another correction was first: correct that one
    SUPERSEDES_OTHER_REQUEST = "supersedes_other_request"  # contract, parties and request are not those it replaces
    NO_WEIGHTS = "no_weights"  # the product does not weigh every bucket
    COUNT_OUT_OF_RANGE = "count_out_of_range"


class ItemResult(Struct, frozen=True, gc=False, rename={"event_id": "id"}):
    """What became of one event. `code` is stable, and equal to the status where there is nothing more to say."""

    event_id: str  # in JSON `id`
    status: ItemStatus
    code: str
    message: str = ""
