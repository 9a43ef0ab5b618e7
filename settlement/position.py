"""What a position is calculated from: its contract's terms, its fills, its use, and what secures it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from msgspec import Struct

from ledger.money import div_ceil
from settlement.errors import InvalidPosition
from settlement.make_up import MakeUp
from settlement.sla import ServiceFigures, SlaRule
from settlement.splits import ShareSchedule

MILLI = 1000  # metering counts thousandths of a contract token
PERMILLE = 1000
PPM = 1_000_000
PRICE_UNIT = 1_000_000  # prices are per million contract tokens


@dataclass(frozen=True, slots=True)
class PositionTerms:
    """What the contract and its product fix for every position in it.

    Without `sla` no service is judged; `make_up_permille` of what stays unused may be made up later.
    """

    window_seconds: int
    max_request_tokens: int
    burst_permille: int
    take_or_pay_permille: int
    damages_permille: int
    buyer_fee_ppm: int
    schedule: ShareSchedule
    sla: SlaRule | None = None
    make_up_permille: int = 0

    def __post_init__(self) -> None:
        _require(self.window_seconds > 0, "window_seconds")
        _require(self.max_request_tokens >= 0, "max_request_tokens")
        _require(self.burst_permille >= 0, "burst_permille")
        _require(0 <= self.take_or_pay_permille <= PERMILLE, "take_or_pay_permille")
        _require(self.damages_permille >= 0, "damages_permille")
        _require(0 <= self.buyer_fee_ppm <= PPM, "buyer_fee_ppm")
        _require(0 <= self.make_up_permille <= PERMILLE, "make_up_permille")


class MinuteUse(Struct, frozen=True, gc=False):
    """Reconciled use in one UTC minute, in milli-contract-tokens. `refused` is demand whose refusal counts."""

    minute: datetime
    delivered_millitokens: int
    refused_millitokens: int = 0


@dataclass(frozen=True, slots=True)
class PositionInput:
    """All fills of one (contract, buyer, provider), pooled, with its use and what secures it.

    `provider_fee_picos` is the provider's fee if all of N is paid, exact, in millionths of a micro: each fill's
    notional times its own rate in ppm, summed. `bond_micros` limits damages; `overage_cap_tokens` and
    `overage_hold_micros` (buyer's fee included) limit what is charged above Q. At `ended_at` the contract was cancelled
    or the provider's default declared: use counts in the minutes that had begun before, and all the rest is short.

    `disputed_millitokens` is what the meters' larger claims say beyond what settles, over requests with an open case.
    `service` is how its requests were served, None if that is not known. `make_up` are the pair's credits from earlier
    windows, oldest first. No damages are owed for refusals in minutes that begin in one of `force_majeure_spans`, each
    from its start to before its end; `force_majeure` excuses all of them.
    """

    tokens: int
    notional_micros: int
    provider_fee_picos: int
    minutes: tuple[MinuteUse, ...]
    reference_price_micros: int
    bond_micros: int
    overage_cap_tokens: int = 0
    overage_hold_micros: int = 0
    force_majeure: bool = False
    ended_at: datetime | None = None
    disputed_millitokens: int = 0
    service: ServiceFigures | None = None
    make_up: tuple[MakeUp, ...] = ()
    force_majeure_spans: tuple[tuple[datetime, datetime], ...] = ()

    def __post_init__(self) -> None:
        _require(self.tokens > 0, "tokens")
        _require(self.notional_micros > 0, "notional_micros")
        _require(0 <= self.provider_fee_picos <= self.notional_micros * PPM, "provider_fee_picos")
        _require(self.reference_price_micros >= 0, "reference_price_micros")
        _require(self.bond_micros >= 0, "bond_micros")
        _require(self.overage_cap_tokens >= 0, "overage_cap_tokens")
        _require(self.overage_hold_micros >= 0, "overage_hold_micros")
        _require(self.disputed_millitokens >= 0, "disputed_millitokens")
        _require(len({credit.source for credit in self.make_up}) == len(self.make_up), "make_up")
        _require(all(start < end for start, end in self.force_majeure_spans), "force_majeure_spans")
        _require(len({use.minute for use in self.minutes}) == len(self.minutes), "minutes")
        for use in self.minutes:
            _require(use.delivered_millitokens >= 0 and use.refused_millitokens >= 0, "minutes")

    def excuses(self, minute: datetime) -> bool:
        """Whether no damages are owed for what was refused in a minute."""
        return self.force_majeure or any(start <= minute < end for start, end in self.force_majeure_spans)


def minute_rate_tokens(terms: PositionTerms, tokens: int) -> int:
    """Contract tokens a position of `tokens` may ask for in a UTC minute: its share of the window times the burst."""
    smooth = div_ceil(tokens * 60 * terms.burst_permille, terms.window_seconds * PERMILLE)
    return max(terms.max_request_tokens, smooth)


def counted_refusals_millitokens(minutes: Iterable[MinuteUse], rate_tokens: int) -> int:
    """Refused demand within the rate: of each minute min(refused, max(0, rate - delivered))."""
    rate = rate_tokens * MILLI
    return sum(
        min(use.refused_millitokens, max(0, rate - use.delivered_millitokens))
        for use in minutes
        if use.refused_millitokens
    )


def average_price_micros(notional_micros: int, tokens: int) -> int:
    """The price of a position per million contract tokens, rounded down; for display, amounts use the exact ratio."""
    return notional_micros * PRICE_UNIT // tokens


def _require(holds: bool, field: str) -> None:
    if not holds:
        raise InvalidPosition(f"{field} is out of range.", field=field)
