"""What one meter says of one request, and the words that reconciliation uses of it. Pure."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from settlement.metering.buckets import SETTLED_BUCKETS

NO_TOKENS = (0,) * len(SETTLED_BUCKETS)


class Side(StrEnum):
    """Whose meter speaks; the order is that of their weight."""

    GATEWAY = "gateway"
    PROVIDER = "provider"
    BUYER = "buyer"

    __hash__ = str.__hash__  # an enum's own is written in Python, and figures are kept by side


class RecordKind(StrEnum):
    """What a record says of its request; the values are those of the events."""

    STARTED = "started"
    COMPLETED = "completed"
    REFUSED = "refused"
    AGGREGATE = "aggregate"  # all completed requests of a minute in one


class RefusalReason(StrEnum):
    """Why a request was not served."""

    CAPACITY = "capacity"
    FAILURE = "failure"  # also: access that the provider owes was not given
    INVALID = "invalid"
    UNAUTHORISED = "unauthorised"
    POLICY = "policy"
    OVER_RATE = "over_rate"


COUNTING_REASONS = frozenset({RefusalReason.CAPACITY, RefusalReason.FAILURE})


class CaseKind(StrEnum):
    """Kinds of discrepancy between the meters of a pair."""

    FIGURES_DIFFER = "figures_differ"  # both delivered, outside tolerance
    DELIVERY_DENIED = "delivery_denied"  # one meter says delivered, another refused
    REFUSAL_CLAIMED = "refusal_claimed"  # the buyer's meter alone says so, or that it counts for more
    PROVIDER_ALONE = "provider_alone"  # and the buyer's meter says that it sent all there is
    LOST_END = "lost_end"  # started, and no meter says how it ended
    REPEATED_REQUEST = "repeated_request"  # one side reported a delivery under several event ids


class Ruling(StrEnum):
    """Whose record settles for the requests of a decided case."""

    PROVIDER = "provider"
    BUYER = "buyer"
    MINIMUM = "minimum"  # the undisputed minimum, as without a ruling


class Decided(NamedTuple):
    """A ruling, and when it was proposed: a record that came later was not looked at, and is not ruled on."""

    ruling: Ruling
    at: datetime


# Where a ruling changes what settles; of the others there is nothing to choose from.
RULED_KINDS = frozenset(
    {CaseKind.FIGURES_DIFFER, CaseKind.DELIVERY_DENIED, CaseKind.REFUSAL_CLAIMED, CaseKind.PROVIDER_ALONE}
)


class UsageRecord(Struct, frozen=True, gc=False):
    """One meter's record of one request.

    `tokens` are raw counts by bucket, in the order of `SETTLED_BUCKETS`; `millitokens` their weighted sum in
    milli-contract-tokens. A refusal has a reason, and its size is that of refused demand. An aggregate stands for
    `requests` of a minute, which `accepted_at` begins. `meter` tells the meters of a side apart. None as `received_at`:
    before any ruling. `ttft_ms` and `output_ms`: how fast a single request was served, if its meter said so.
    """

    side: Side
    kind: RecordKind
    request_id: str
    accepted_at: datetime
    tokens: tuple[int, ...] = NO_TOKENS
    millitokens: int = 0
    refusal: RefusalReason | None = None
    retry_of: str | None = None
    requests: int = 1
    meter: int = 0
    received_at: datetime | None = None
    ttft_ms: int | None = None
    output_ms: int | None = None

    def ruled_by(self, decided: Decided) -> bool:
        """Whether it was there when the ruling was proposed."""
        return self.received_at is None or self.received_at <= decided.at

    @property
    def delivered_millitokens(self) -> int:
        return 0 if self.refusal else self.millitokens

    @property
    def delivered_tokens(self) -> tuple[int, ...]:
        return NO_TOKENS if self.refusal else self.tokens
