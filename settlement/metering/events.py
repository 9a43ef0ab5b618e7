"""The events meters send, as CloudEvents 1.0 in JSON: one structure a type of event. Pure.

Times are RFC 3339 texts here, digests lower-case hex, and `usage` the bytes of the provider's object as they came: what
they mean is judged when an event is taken in. A usage that is missing is the same as null. Members that are not named
are allowed and not looked at.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Raw, Struct

from settlement.metering.records import RefusalReason

STARTED_TYPE = "tokenbourse.usage.started.v1"
COMPLETED_TYPE = "tokenbourse.usage.completed.v1"
REFUSED_TYPE = "tokenbourse.usage.refused.v1"
CORRECTION_TYPE = "tokenbourse.usage.correction.v1"
AGGREGATE_TYPE = "tokenbourse.usage.aggregate.v1"
WATERMARK_TYPE = "tokenbourse.usage.watermark.v1"

MAX_ID_LENGTH = 120
MAX_SOURCE_LENGTH = 80
MAX_FAMILY_LENGTH = 32
MAX_WHY_LENGTH = 200
MAX_TIME_LENGTH = 40
MAX_REQUESTS = 1_000_000  # in an aggregate
MAX_COUNT = 10**12
MAX_MILLISECONDS = 86_400_000  # a day; no request is served that long

Name = Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH)]
Source = Annotated[str, Meta(min_length=1, max_length=MAX_SOURCE_LENGTH)]
Family = Annotated[str, Meta(min_length=1, max_length=MAX_FAMILY_LENGTH)]
Why = Annotated[str, Meta(min_length=1, max_length=MAX_WHY_LENGTH)]
Time = Annotated[str, Meta(min_length=1, max_length=MAX_TIME_LENGTH)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Requests = Annotated[int, Meta(ge=1, le=MAX_REQUESTS)]
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Milliseconds = Annotated[int, Meta(ge=0, le=MAX_MILLISECONDS)]
Sequence = Annotated[int, Meta(ge=-MAX_COUNT, le=MAX_COUNT)]  # below 1 it is out of order rather than unreadable
NO_USAGE = Raw(b"null")


class Kind(StrEnum):
    """What an event says of its request; the values are those of the model's `EventKind`."""

    STARTED = "started"
    COMPLETED = "completed"
    REFUSED = "refused"
    VOID = "void"  # of a correction: there was no such request
    AGGREGATE = "aggregate"


class Started(Struct, frozen=True):
    """The provider took a request on. Without an end of any kind it is a finding."""

    contract: Name
    buyer: Name
    provider: Name
    request_id: Name
    accepted_at: Time
    retry_of: Name | None = None


class Completed(Struct, frozen=True):
    """A request was served. `family` says how to read `usage`.

    `ttft_ms` is the time from its acceptance to the first output token, `output_ms` from there to the last. Whoever
    cannot measure one leaves it out: only requests with both tell how well a provider keeps its service class.
    """

    contract: Name
    buyer: Name
    provider: Name
    request_id: Name
    accepted_at: Time
    family: Family
    usage: Raw = NO_USAGE
    retry_of: Name | None = None
    ttft_ms: Milliseconds | None = None
    output_ms: Milliseconds | None = None


class Refused(Struct, frozen=True):
    """A request was not served; `usage` has the counts of its input."""

    contract: Name
    buyer: Name
    provider: Name
    request_id: Name
    accepted_at: Time
    family: Family
    reason: RefusalReason
    usage: Raw = NO_USAGE
    retry_of: Name | None = None


class Correction(Struct, frozen=True):
    """What the event `supersedes` of the same meter should have said of the same request, whole, and why.

    `replacement` is the kind of event it becomes; of `void`, that there was no such request, nothing more is told.
    Timings belong to a completed request, and are not read of others.
    """

    contract: Name
    buyer: Name
    provider: Name
    request_id: Name
    accepted_at: Time
    supersedes: Name
    why: Why
    replacement: Literal["completed", "refused", "void"]
    family: Family | None = None
    usage: Raw = NO_USAGE
    reason: RefusalReason | None = None
    retry_of: Name | None = None
    ttft_ms: Milliseconds | None = None
    output_ms: Milliseconds | None = None


class Aggregate(Struct, frozen=True):
    """All requests of a pair that were accepted in a UTC minute and completed; only in a signed call.

    `records_root` is the RFC 9162 Merkle root over the single records, whose form is the meter's own.
    """

    contract: Name
    buyer: Name
    provider: Name
    minute: Time
    requests: Requests
    family: Family
    records_root: Digest
    usage: Raw = NO_USAGE


class Watermark(Struct, frozen=True):
    """All events of the meter in this contract with `accepted_at` before `up_to` were sent: see `UsageWatermark`."""

    contract: Name
    up_to: Time
    sequence: Sequence
    events: Count
    root: Digest


class CloudEvent(Struct, frozen=True, tag_field="type"):
    """The envelope. (`source`, `id`) is the event's identity: the code of a meter, and its id there."""

    specversion: Literal["1.0"]
    source: Source
    id: Name
    time: Time


class StartedEvent(CloudEvent, frozen=True, tag=STARTED_TYPE):
    data: Started
    type: ClassVar[str] = STARTED_TYPE


class CompletedEvent(CloudEvent, frozen=True, tag=COMPLETED_TYPE):
    data: Completed
    type: ClassVar[str] = COMPLETED_TYPE


class RefusedEvent(CloudEvent, frozen=True, tag=REFUSED_TYPE):
    data: Refused
    type: ClassVar[str] = REFUSED_TYPE


class CorrectionEvent(CloudEvent, frozen=True, tag=CORRECTION_TYPE):
    data: Correction
    type: ClassVar[str] = CORRECTION_TYPE


class AggregateEvent(CloudEvent, frozen=True, tag=AGGREGATE_TYPE):
    data: Aggregate
    type: ClassVar[str] = AGGREGATE_TYPE


class WatermarkEvent(CloudEvent, frozen=True, tag=WATERMARK_TYPE):
    data: Watermark
    type: ClassVar[str] = WATERMARK_TYPE


Event = StartedEvent | CompletedEvent | RefusedEvent | CorrectionEvent | AggregateEvent | WatermarkEvent
EVENT_TYPES = (STARTED_TYPE, COMPLETED_TYPE, REFUSED_TYPE, CORRECTION_TYPE, AGGREGATE_TYPE, WATERMARK_TYPE)
