"""Minutes that a meter reported as one sum: all sides' completed requests of the minute become one. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from msgspec.structs import replace

from settlement.metering.joining import Joined
from settlement.metering.records import RecordKind, Side, UsageRecord

# Before the id of a sum, as a key: a control character, which no request's id has.
_KEY_OF_SUMS = "\n"
SUMS_PREFIX = "minute/"  # no request that is reported has an id like this


def minute_of(instant: datetime) -> datetime:
    """The UTC minute an instant lies in."""
    return instant.astimezone(UTC).replace(second=0, microsecond=0)


def request_id_of(minute: datetime) -> str:
    """The id under which a summed minute is reconciled."""
    return f"{SUMS_PREFIX}{minute:%Y-%m-%dT%H:%MZ}"


def fold_minutes(
    joined: Mapping[str, Joined], aggregates: Iterable[UsageRecord]
) -> tuple[dict[str, Joined], frozenset[str]]:
    """Put one request in the place of all completed ones of a minute for which any side sent an aggregate.

    Returns the requests, and the ids of those that went into a sum. What the side of the aggregate also reported singly
    is left out, and the side noted as having repeated it; so is the greater of two aggregates of a meter. All other
    ends of a request stay together, in the minute of the one that weighs most: else a clock could part them.
    """
    folded = _least_by_meter(aggregates)
    if not folded:
        return dict(joined), frozenset()
    aggregated = {minute: frozenset(request.ends) for minute, request in folded.items()}
    kept: dict[str, Joined] = {}
    endless: list[tuple[Joined, datetime | None]] = []
    summed: set[str] = set()
    for request_id, request in joined.items():
        rest = Joined(request_id, {}, dict(request.starts), request.repeated_by)
        together, into = minute_of(request.accepted_at), None
        for side, record in request.ends.items():
            own = minute_of(record.accepted_at)
            minute = own if side in aggregated.get(own, ()) else together
            if record.refusal is not None or minute not in folded:
                rest.ends[side] = record
                continue
            summed.add(request_id)
            into, target = minute, folded[minute]
            if side in aggregated[minute] or side in request.repeated_by:
                _note_repeated(target, side)
            if side not in aggregated[minute]:
                target.ends[side] = _sum(target.ends.get(side), record, target.request_id, minute)
        if rest.ends:
            kept[request_id] = rest
        else:
            endless.append((rest, into))
    _move_starts(endless, folded, kept)
    kept.update((_KEY_OF_SUMS + request.request_id, request) for request in folded.values())
    order = sorted(kept, key=lambda key: (kept[key].request_id, key))
    return {key: kept[key] for key in order}, frozenset(summed)


def _least_by_meter(aggregates: Iterable[UsageRecord]) -> dict[datetime, Joined]:
    """The aggregates by minute, summed over a side's meters."""
    least: dict[tuple[datetime, Side, int], UsageRecord] = {}
    repeated: dict[datetime, set[Side]] = defaultdict(set)
    for record in aggregates:
        key = (minute_of(record.accepted_at), record.side, record.meter)
        other = least.get(key)
        if other is not None:
            repeated[key[0]].add(record.side)
        if other is None or _claim_order(record) < _claim_order(other):
            least[key] = record
    minutes: dict[datetime, Joined] = {}
    for (minute, side, _), record in sorted(least.items(), key=lambda item: item[0]):
        request = minutes.setdefault(minute, Joined(request_id_of(minute)))
        request.ends[side] = _sum(request.ends.get(side), record, request.request_id, minute)
    for minute, sides in repeated.items():
        for side in sides:
            _note_repeated(minutes[minute], side)
    return minutes


def _claim_order(record: UsageRecord) -> tuple[object, ...]:
    return record.millitokens, record.requests, record.tokens, record.received_at or record.accepted_at


def _sum(total: UsageRecord | None, record: UsageRecord, request_id: str, minute: datetime) -> UsageRecord:
    if total is None:
        return replace(
            record,
            kind=RecordKind.COMPLETED,
            request_id=request_id,
            accepted_at=minute,
            retry_of=None,
            meter=0,
            ttft_ms=None,
            output_ms=None,
        )
    return replace(
        total,
        tokens=tuple(one + other for one, other in zip(total.tokens, record.tokens, strict=True)),
        millitokens=total.millitokens + record.millitokens,
        requests=total.requests + record.requests,
        received_at=max((each.received_at for each in (total, record) if each.received_at is not None), default=None),
    )


def _move_starts(
    endless: Iterable[tuple[Joined, datetime | None]], folded: Mapping[datetime, Joined], kept: dict[str, Joined]
) -> None:
    """A start without an end of its own may have ended in a sum: that of the minute told, or of its own.

    A side that has no part in the sum witnesses it by as many starts as the sum has requests, and by no fewer.
    """
    starts = [
        (rest, side, into or minute_of(started_at))
        for rest, into in endless
        for side, started_at in rest.starts.items()
    ]
    counts = Counter((minute, side) for _, side, minute in starts)
    for rest, side, minute in starts:
        total = folded.get(minute)
        if total is not None and (side in total.ends or counts[minute, side] >= total.leading.requests):
            total.starts.setdefault(side, rest.starts.pop(side))
    kept.update((rest.request_id, rest) for rest, _ in endless if rest.starts)


def _note_repeated(request: Joined, side: Side) -> None:
    if side not in request.repeated_by:
        sides = {*request.repeated_by, side}
        request.repeated_by = tuple(each for each in Side if each in sides)
