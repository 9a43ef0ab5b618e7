"""What settles for a request, and why. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from settlement.metering.joining import Joined
from settlement.metering.records import COUNTING_REASONS, CaseKind, Decided, RefusalReason, Ruling, Side, UsageRecord
from settlement.metering.tolerance import Tolerance, within


class Verdict(StrEnum):
    """What the join made of a request."""

    MATCHED = "matched"  # every bucket the same
    WITHIN_TOLERANCE = "within_tolerance"  # the provider's record settles
    OVERRULED = "overruled"  # the gateway's record settles, another meter's differs
    PROVIDER_ONLY = "provider_only"
    UNWITNESSED = "unwitnessed"  # the provider alone, though the buyer's meter sent all it had: nothing settles
    BUYER_ONLY = "buyer_only"
    CONFLICT = "conflict"  # the undisputed minimum settles
    REFUSED = "refused"  # a meter other than the buyer's says so
    REFUSAL_CLAIMED = "refusal_claimed"  # the buyer alone says so, or that it counts for more
    LOST_END = "lost_end"  # it was started, and nobody says how it ended: nothing settles


# Verdicts that somebody should look at.
OPEN_VERDICTS = frozenset(
    {Verdict.OVERRULED, Verdict.UNWITNESSED, Verdict.CONFLICT, Verdict.REFUSAL_CLAIMED, Verdict.LOST_END}
)


class RequestVerdict(Struct, frozen=True, gc=False):
    """A request after the join.

    Figures are delivered milli-contract-tokens; None: that side has no such record, 0: it says the request was refused.
    `refusal` is the reason that stands, if it was refused and nobody with a say denies it; `counted_millitokens` the
    demand that counts against the provider. `kind` is the case the verdict belongs to, `ruled` whether a decided case
    settles it. `lost_by`: sides that saw it start and do not say how it ended, while another does; `repeated_by`: sides
    that reported its delivery more than once; `retries_disputed`: the meters name different retried requests.
    """

    request_id: str
    verdict: Verdict
    accepted_at: datetime
    settled_millitokens: int
    provider_millitokens: int | None = None
    buyer_millitokens: int | None = None
    gateway_millitokens: int | None = None
    refusal: RefusalReason | None = None
    counted_millitokens: int = 0
    kind: CaseKind | None = None
    ruled: bool = False
    lost_by: tuple[Side, ...] = ()
    repeated_by: tuple[Side, ...] = ()
    retries_disputed: bool = False

    @property
    def disputed_millitokens(self) -> int:
        """What one party claims beyond what settled; 0 unless in conflict, or once it is ruled."""
        if self.ruled or self.verdict not in (Verdict.CONFLICT, Verdict.UNWITNESSED):
            return 0
        return max(self.provider_millitokens or 0, self.buyer_millitokens or 0) - self.settled_millitokens

    @property
    def kinds(self) -> tuple[CaseKind, ...]:
        """All cases the request belongs to."""
        own = () if self.kind is None else (self.kind,)
        return (*own, CaseKind.REPEATED_REQUEST) if self.repeated_by else own


class Settling(NamedTuple):
    """The verdict on a request, and the record that settles (None: nothing was delivered, or nothing settles)."""

    verdict: Verdict
    record: UsageRecord | None
    kind: CaseKind | None = None
    ruled: bool = False

    @property
    def millitokens(self) -> int:
        return 0 if self.record is None else self.record.delivered_millitokens


def settle(
    request: Joined, tolerance: Tolerance, complete: frozenset[Side], rulings: Mapping[CaseKind, Decided]
) -> Settling:
    """Which record settles for a request."""
    ends = request.ends
    if not ends:
        return Settling(Verdict.LOST_END, None, CaseKind.LOST_END)
    leading = request.leading
    if all(record.refusal for record in ends.values()):
        return _refused(leading, ends.get(Side.BUYER), rulings)
    if leading.side is Side.GATEWAY:
        agreed = all(_same(record, leading) for record in ends.values())
        return Settling(Verdict.MATCHED if agreed else Verdict.OVERRULED, leading)
    if leading.side is Side.BUYER:
        return Settling(Verdict.BUYER_ONLY, leading)
    buyer = ends.get(Side.BUYER)
    if buyer is None:
        return _provider_alone(request, leading, complete, rulings)
    return _both(leading, buyer, tolerance, rulings)


def _refused(leading: UsageRecord, buyer: UsageRecord | None, rulings: Mapping[CaseKind, Decided]) -> Settling:
    if leading.side is Side.PROVIDER and buyer is not None and _counting(buyer) > _counting(leading):
        # The provider chooses the reason and the size it states: the lesser stands until a ruling says otherwise.
        return _ruled(Settling(Verdict.REFUSAL_CLAIMED, leading, CaseKind.REFUSAL_CLAIMED), leading, buyer, rulings)
    if leading.side is not Side.BUYER:
        return Settling(Verdict.REFUSED, leading)
    # Of a request the provider says nothing of, only a ruling for the buyer makes the refusal stand.
    return _ruled(Settling(Verdict.REFUSAL_CLAIMED, None, CaseKind.REFUSAL_CLAIMED), None, leading, rulings)


def _counting(refusal: UsageRecord) -> int:
    return refusal.millitokens if refusal.refusal in COUNTING_REASONS else 0


def _provider_alone(
    request: Joined, provider: UsageRecord, complete: frozenset[Side], rulings: Mapping[CaseKind, Decided]
) -> Settling:
    witnessed = Side.BUYER in request.starts or Side.GATEWAY in request.starts
    if witnessed or Side.BUYER not in complete:
        return Settling(Verdict.PROVIDER_ONLY, provider)
    return _ruled(Settling(Verdict.UNWITNESSED, None, CaseKind.PROVIDER_ALONE), provider, None, rulings)


def _both(
    provider: UsageRecord, buyer: UsageRecord, tolerance: Tolerance, rulings: Mapping[CaseKind, Decided]
) -> Settling:
    if _same(provider, buyer):
        return Settling(Verdict.MATCHED, provider)
    if provider.refusal or buyer.refusal:
        # Of a denied delivery nothing settles, and no refusal stands either.
        return _ruled(Settling(Verdict.CONFLICT, None, CaseKind.DELIVERY_DENIED), provider, buyer, rulings)
    if not tolerance.zero and comparable(provider, buyer, tolerance):
        return Settling(Verdict.WITHIN_TOLERANCE, provider)
    lesser = min((provider, buyer), key=lambda record: record.millitokens)
    return _ruled(Settling(Verdict.CONFLICT, lesser, CaseKind.FIGURES_DIFFER), provider, buyer, rulings)


def _ruled(
    unruled: Settling,
    provider: UsageRecord | None,
    buyer: UsageRecord | None,
    rulings: Mapping[CaseKind, Decided],
) -> Settling:
    """What settles by a decided case, if there is one. A side that said nothing is not raised by it, and what the
    winner said only after it is not ruled on; without a winner, what either side said only after it.
    """
    decided = None if unruled.kind is None else rulings.get(unruled.kind)
    if decided is None:
        return unruled
    winner = {Ruling.PROVIDER: provider, Ruling.BUYER: buyer, Ruling.MINIMUM: None}[decided.ruling]
    if winner is None:
        return unruled._replace(ruled=all(said is None or said.ruled_by(decided) for said in (provider, buyer)))
    return unruled._replace(record=winner, ruled=True) if winner.ruled_by(decided) else unruled


def comparable(provider: UsageRecord, buyer: UsageRecord, tolerance: Tolerance) -> bool:
    """Whether two deliveries agree within the tolerance as it is before any zeroing."""
    return within(provider.tokens, buyer.tokens, allowed(provider, buyer, tolerance))


def allowed(provider: UsageRecord, buyer: UsageRecord, tolerance: Tolerance) -> tuple[int, ...]:
    """The tolerance of two records. Of sums the lesser number of requests counts: nobody widens it by a claim."""
    return tolerance.allowed(provider.tokens, requests=min(provider.requests, buyer.requests))


def _same(one: UsageRecord, other: UsageRecord) -> bool:
    """Both refused, or both delivered the same."""
    return bool(one.refusal) == bool(other.refusal) and one.delivered_tokens == other.delivered_tokens
