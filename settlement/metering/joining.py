"""Records of the same request brought together: one end a side, and who saw it start. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct, field

from settlement.metering.records import RecordKind, Side, UsageRecord


class Joined(Struct, gc=False):
    """All that was said of a request.

    `ends`: each side's record of how it ended. `starts`: when each side saw it begin. `repeated_by`: the sides that
    reported its delivery more than once.
    """

    request_id: str
    ends: dict[Side, UsageRecord] = field(default_factory=dict)
    starts: dict[Side, datetime] = field(default_factory=dict)
    repeated_by: tuple[Side, ...] = ()

    @property
    def accepted_at(self) -> datetime:
        """As the side says whose word weighs most; an end weighs more than a start."""
        return (
            self.leading.accepted_at if self.ends else next(self.starts[side] for side in Side if side in self.starts)
        )

    @property
    def leading(self) -> UsageRecord:
        """The end by the side whose word weighs most. There must be one."""
        return self.ends.get(Side.GATEWAY) or self.ends.get(Side.PROVIDER) or self.ends[Side.BUYER]


def join(records: Iterable[UsageRecord]) -> dict[str, Joined]:
    """Requests by id, in the order of their ids; aggregates are not looked at.

    Of a side's several ends one stands: a delivery before a refusal (it was retried under its own id), then the least
    claim, then the earliest.
    """
    joined: dict[str, Joined] = {}
    repeated: dict[str, set[Side]] = {}
    for record in records:
        if record.kind is RecordKind.AGGREGATE:
            continue
        request = joined.get(record.request_id)
        if request is None:
            request = joined[record.request_id] = Joined(record.request_id)
        if record.kind is RecordKind.STARTED:
            seen = request.starts.get(record.side)
            request.starts[record.side] = record.accepted_at if seen is None else min(seen, record.accepted_at)
            continue
        other = request.ends.get(record.side)
        if other is None or _claim_order(record) < _claim_order(other):
            request.ends[record.side] = record
        if other is not None and other.refusal is None and record.refusal is None:
            repeated.setdefault(record.request_id, set()).add(record.side)
    for request_id, sides in repeated.items():
        joined[request_id].repeated_by = tuple(side for side in Side if side in sides)
    return {request_id: joined[request_id] for request_id in sorted(joined)}


def _claim_order(record: UsageRecord) -> tuple[object, ...]:
    return (
        record.refusal is not None,
        record.millitokens,
        record.accepted_at,
        record.tokens,
        record.refusal or "",
        record.retry_of or "",
        record.received_at or record.accepted_at,
    )
