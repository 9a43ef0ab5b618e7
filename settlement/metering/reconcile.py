"""Joining what several meters say about the same requests. Pure; the order of the records does not matter.

All records are of one (contract, buyer, provider) and one delivery window. A gateway's figure outranks the parties';
without one the provider's settles within tolerance, and outside it only what nobody disputes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from settlement.calculation import MinuteUse

PPM = 1_000_000


class Side(StrEnum):
    """Whose meter speaks; the order is that of their weight."""

    GATEWAY = "gateway"
    PROVIDER = "provider"
    BUYER = "buyer"


class RefusalReason(StrEnum):
    """Why a request was not served."""

    CAPACITY = "capacity"
    FAILURE = "failure"  # also: access that the provider owes was not given
    INVALID = "invalid"
    UNAUTHORISED = "unauthorised"
    POLICY = "policy"
    OVER_RATE = "over_rate"


COUNTING_REASONS = frozenset({RefusalReason.CAPACITY, RefusalReason.FAILURE})


class Verdict(StrEnum):
    """What the join made of a request."""

    MATCHED = "matched"
    WITHIN_TOLERANCE = "within_tolerance"  # the provider's figure settles
    OVERRULED = "overruled"  # the gateway's figure settles, another meter's differs
    PROVIDER_ONLY = "provider_only"
    BUYER_ONLY = "buyer_only"
    CONFLICT = "conflict"  # the undisputed minimum settles
    REFUSED = "refused"  # a meter other than the buyer's says so
    REFUSAL_CLAIMED = "refusal_claimed"  # the buyer alone says so


# Verdicts that somebody should look at.
OPEN_VERDICTS = frozenset({Verdict.OVERRULED, Verdict.CONFLICT, Verdict.REFUSAL_CLAIMED})


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """One meter's record of one request. A refusal has a reason, and its size is that of refused demand."""

    side: Side
    request_id: str
    accepted_at: datetime
    millitokens: int
    refusal: RefusalReason | None = None
    retry_of: str | None = None


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far buyer and provider may differ on a request: the larger of both bounds, inclusive."""

    absolute_millitokens: int = 0
    relative_ppm: int = 0  # of the provider's figure

    def covers(self, provider: int, buyer: int) -> bool:
        return abs(provider - buyer) <= max(self.absolute_millitokens, provider * self.relative_ppm // PPM)


@dataclass(frozen=True, slots=True)
class RequestVerdict:
    """A request after the join. Figures are delivered milli-contract-tokens; None: that meter has no such record,
    0: it says the request was refused. `refusal` is the reason that stands, if it was refused and nobody with a say
    denies it; `counted_millitokens` the demand that counts against the provider. `retries_disputed`: the meters name
    different retried requests."""

    request_id: str
    verdict: Verdict
    accepted_at: datetime
    settled_millitokens: int
    provider_millitokens: int | None = None
    buyer_millitokens: int | None = None
    gateway_millitokens: int | None = None
    refusal: RefusalReason | None = None
    counted_millitokens: int = 0
    retries_disputed: bool = False

    @property
    def difference_millitokens(self) -> int:
        """Provider's minus buyer's figure; 0 unless both reported. The material of the bias register."""
        if self.provider_millitokens is None or self.buyer_millitokens is None:
            return 0
        return self.provider_millitokens - self.buyer_millitokens

    @property
    def disputed_millitokens(self) -> int:
        """What one party claims beyond what settled; 0 unless in conflict."""
        if self.verdict is not Verdict.CONFLICT:
            return 0
        return max(self.provider_millitokens or 0, self.buyer_millitokens or 0) - self.settled_millitokens


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """All requests by id, and their use by minute, ready for `calculate`."""

    requests: tuple[RequestVerdict, ...]
    minutes: tuple[MinuteUse, ...]

    @property
    def findings(self) -> tuple[RequestVerdict, ...]:
        """The requests that somebody should look at."""
        return tuple(
            request for request in self.requests if request.verdict in OPEN_VERDICTS or request.retries_disputed
        )

    @property
    def settled_millitokens(self) -> int:
        return sum(request.settled_millitokens for request in self.requests)


def reconcile(records: Iterable[UsageRecord], *, tolerance: Tolerance) -> Reconciliation:
    """Decide every request, count refused demand, and sum both by minute."""
    by_request: dict[str, list[UsageRecord]] = defaultdict(list)
    for record in records:
        by_request[record.request_id].append(record)
    joined = {request_id: _one_per_side(by_request[request_id]) for request_id in sorted(by_request)}
    verdicts = {request_id: _decide(request_id, sides, tolerance) for request_id, sides in joined.items()}
    counted = _counted_refusals(joined, verdicts)
    requests = tuple(
        replace(
            verdict,
            counted_millitokens=counted.get(request_id, 0),
            retries_disputed=len({record.retry_of for record in joined[request_id].values()}) > 1,
        )
        for request_id, verdict in verdicts.items()
    )
    return Reconciliation(requests, _by_minute(requests))


def _one_per_side(records: Iterable[UsageRecord]) -> Mapping[Side, UsageRecord]:
    """One record a meter: a delivery before a refusal (it was retried under its own id), then the least claim."""
    chosen: dict[Side, UsageRecord] = {}
    for record in sorted(records, key=_claim_order):
        chosen.setdefault(record.side, record)
    return chosen


def _claim_order(record: UsageRecord) -> tuple[bool, int, datetime, str, str]:
    return (
        record.refusal is not None,
        record.millitokens,
        record.accepted_at,
        record.refusal or "",
        record.retry_of or "",
    )


def _decide(request_id: str, sides: Mapping[Side, UsageRecord], tolerance: Tolerance) -> RequestVerdict:
    gateway, provider, buyer = (sides.get(Side.GATEWAY), sides.get(Side.PROVIDER), sides.get(Side.BUYER))
    leading = _leading(sides)
    verdict, settled = _judge(sides, leading, tolerance)
    return RequestVerdict(
        request_id=request_id,
        verdict=verdict,
        accepted_at=leading.accepted_at,
        settled_millitokens=settled,
        provider_millitokens=_delivered(provider) if provider else None,
        buyer_millitokens=_delivered(buyer) if buyer else None,
        gateway_millitokens=_delivered(gateway) if gateway else None,
        refusal=None if verdict is Verdict.CONFLICT else leading.refusal,
    )


def _judge(sides: Mapping[Side, UsageRecord], leading: UsageRecord, tolerance: Tolerance) -> tuple[Verdict, int]:
    """The verdict on a request and the figure that settles."""
    figure = _delivered(leading)
    if all(record.refusal for record in sides.values()):
        return (Verdict.REFUSAL_CLAIMED if leading.side is Side.BUYER else Verdict.REFUSED), 0
    if leading.side is Side.GATEWAY:
        agreed = all(_same(record, leading) for record in sides.values())
        return (Verdict.MATCHED if agreed else Verdict.OVERRULED), figure
    if len(sides) == 1:
        return (Verdict.BUYER_ONLY if leading.side is Side.BUYER else Verdict.PROVIDER_ONLY), figure
    buyer = sides[Side.BUYER]
    if _same(buyer, leading):
        return Verdict.MATCHED, figure
    if not leading.refusal and not buyer.refusal and tolerance.covers(figure, buyer.millitokens):
        return Verdict.WITHIN_TOLERANCE, figure
    return Verdict.CONFLICT, min(figure, _delivered(buyer))


def _leading(sides: Mapping[Side, UsageRecord]) -> UsageRecord:
    """The record of the meter whose word weighs most."""
    return next(sides[side] for side in Side if side in sides)


def _delivered(record: UsageRecord) -> int:
    return 0 if record.refusal else record.millitokens


def _same(one: UsageRecord, other: UsageRecord) -> bool:
    """Both refused, or both delivered the same."""
    return bool(one.refusal) == bool(other.refusal) and _delivered(one) == _delivered(other)


def _counted_refusals(
    joined: Mapping[str, Mapping[Side, UsageRecord]], verdicts: Mapping[str, RequestVerdict]
) -> dict[str, int]:
    """Refused demand by request: of each chain of retries the first refusal that counts, unless one was delivered.

    A link that any meter reports joins two requests: what only one party says can then only lower the count.
    """
    counted: dict[str, int] = {}
    for chain in _chains(joined):
        members = [verdicts[request_id] for request_id in chain if request_id in verdicts]
        if any(member.refusal is None for member in members):
            continue
        counting = [
            member
            for member in members
            if member.verdict is not Verdict.REFUSAL_CLAIMED and member.refusal in COUNTING_REASONS
        ]
        if counting:
            first = min(counting, key=lambda member: (member.accepted_at, member.request_id))
            counted[first.request_id] = _leading(joined[first.request_id]).millitokens
    return counted


def _chains(joined: Mapping[str, Mapping[Side, UsageRecord]]) -> list[list[str]]:
    """Requests connected by `retry_of`, as groups. Survives links to unknown requests, and circles."""
    parent: dict[str, str] = {}

    def find(request_id: str) -> str:
        parent.setdefault(request_id, request_id)
        while parent[request_id] != request_id:
            parent[request_id] = parent[parent[request_id]]
            request_id = parent[request_id]
        return request_id

    for request_id, sides in joined.items():
        find(request_id)
        for record in sides.values():
            if record.retry_of is not None:
                parent[find(request_id)] = find(record.retry_of)
    chains: dict[str, list[str]] = defaultdict(list)
    for request_id in parent:
        chains[find(request_id)].append(request_id)
    return list(chains.values())


def _by_minute(requests: Iterable[RequestVerdict]) -> tuple[MinuteUse, ...]:
    delivered: dict[datetime, int] = defaultdict(int)
    refused: dict[datetime, int] = defaultdict(int)
    for request in requests:
        minute = request.accepted_at.astimezone(UTC).replace(second=0, microsecond=0)
        delivered[minute] += request.settled_millitokens
        refused[minute] += request.counted_millitokens
    return tuple(MinuteUse(minute, delivered[minute], refused[minute]) for minute in sorted(delivered))
