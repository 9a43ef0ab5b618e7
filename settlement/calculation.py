"""What a position comes to: tokens delivered, unused, short and above, and the money that follows.

All figures are cumulative over a position's whole window, so a later run computes them afresh and posts the
`difference`. Money is integer micros, tokens are integers; every product is exact and rounded once, down.

Notation of the formulas: N notional (micros), Q tokens bought, R reference price (micros per million tokens). The
position's own price is the exact ratio N / Q in micros per token; R is R / 1,000,000 micros per token.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ledger.money import div_ceil
from settlement.errors import InvalidPosition
from settlement.splits import Share, ShareAmount, ShareSchedule, split

MILLI = 1000  # metering counts thousandths of a contract token
PERMILLE = 1000
PPM = 1_000_000
PRICE_UNIT = 1_000_000  # prices are per million contract tokens


@dataclass(frozen=True, slots=True)
class PositionTerms:
    """What the contract and its product fix for every position in it."""

    window_seconds: int
    max_request_tokens: int
    burst_permille: int
    take_or_pay_permille: int
    damages_permille: int
    buyer_fee_ppm: int
    schedule: ShareSchedule

    def __post_init__(self) -> None:
        _require(self.window_seconds > 0, "window_seconds")
        _require(self.max_request_tokens >= 0, "max_request_tokens")
        _require(self.burst_permille >= 0, "burst_permille")
        _require(0 <= self.take_or_pay_permille <= PERMILLE, "take_or_pay_permille")
        _require(self.damages_permille >= 0, "damages_permille")
        _require(0 <= self.buyer_fee_ppm <= PPM, "buyer_fee_ppm")


@dataclass(frozen=True, slots=True)
class MinuteUse:
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

    def __post_init__(self) -> None:
        _require(self.tokens > 0, "tokens")
        _require(self.notional_micros > 0, "notional_micros")
        _require(0 <= self.provider_fee_picos <= self.notional_micros * PPM, "provider_fee_picos")
        _require(self.reference_price_micros >= 0, "reference_price_micros")
        _require(self.bond_micros >= 0, "bond_micros")
        _require(self.overage_cap_tokens >= 0, "overage_cap_tokens")
        _require(self.overage_hold_micros >= 0, "overage_hold_micros")
        _require(len({use.minute for use in self.minutes}) == len(self.minutes), "minutes")
        for use in self.minutes:
            _require(use.delivered_millitokens >= 0 and use.refused_millitokens >= 0, "minutes")


@dataclass(frozen=True, slots=True)
class Payout:
    """Gross money for a provider, the fee off it, and the shares of what is left."""

    gross_micros: int
    fee_micros: int
    shares: tuple[ShareAmount, ...]

    @property
    def net_micros(self) -> int:
        return self.gross_micros - self.fee_micros

    def minus(self, old: Payout) -> Payout:
        amounts: dict[Share, int] = {share.share: share.micros for share in self.shares}
        for share in old.shares:
            amounts[share.share] = amounts.get(share.share, 0) - share.micros
        return Payout(
            gross_micros=self.gross_micros - old.gross_micros,
            fee_micros=self.fee_micros - old.fee_micros,
            shares=tuple(ShareAmount(share, micros) for share, micros in amounts.items()),
        )


@dataclass(frozen=True, slots=True)
class PositionOutcome:
    """The figures of a position, or of the change between two runs (then any of them may be negative).

    delivered + unused + short = Q; pay.gross + both refunds = N.
    """

    delivered_tokens: int
    unused_tokens: int
    short_tokens: int
    overage_tokens: int
    excess_tokens: int
    delivered_micros: int
    take_or_pay_micros: int
    refund_unused_micros: int
    refund_short_micros: int
    damages_micros: int
    overage_fee_micros: int  # the buyer's
    pay: Payout  # out of escrow: delivered and take-or-pay
    overage: Payout  # out of the buyer's cash

    @property
    def used_tokens(self) -> int:
        return self.delivered_tokens + self.overage_tokens + self.excess_tokens

    @property
    def paid_micros(self) -> int:
        return self.pay.gross_micros

    @property
    def refund_micros(self) -> int:
        return self.refund_unused_micros + self.refund_short_micros


def minute_rate_tokens(terms: PositionTerms, tokens: int) -> int:
    """Contract tokens a position of `tokens` may ask for in a UTC minute: its share of the window times the burst."""
    smooth = div_ceil(tokens * 60 * terms.burst_permille, terms.window_seconds * PERMILLE)
    return max(terms.max_request_tokens, smooth)


def counted_refusals_millitokens(minutes: Iterable[MinuteUse], rate_tokens: int) -> int:
    """Refused demand within the rate: of each minute min(refused, max(0, rate - delivered))."""
    rate = rate_tokens * MILLI
    return sum(min(use.refused_millitokens, max(0, rate - use.delivered_millitokens)) for use in minutes)


def average_price_micros(notional_micros: int, tokens: int) -> int:
    """The price of a position per million contract tokens, rounded down; for display, amounts use the exact ratio."""
    return notional_micros * PRICE_UNIT // tokens


def calculate(terms: PositionTerms, position: PositionInput) -> PositionOutcome:
    """The cumulative figures of a position.

    taken = min(used, Q); S = min(Q - taken, counted refusals), or Q - taken if the position was ended;
    B = Q - taken - S;
    delivered = floor(N taken / Q); paid = floor(N (1000 taken + B take_or_pay) / 1000 Q); refund = N - paid.
    """
    bought, notional = position.tokens, position.notional_micros
    # Thousandths become whole tokens once for the whole window, so slicing the use changes nothing.
    used = sum(use.delivered_millitokens for use in position.minutes) // MILLI
    in_time = [use for use in position.minutes if position.ended_at is None or use.minute < position.ended_at]
    served = sum(use.delivered_millitokens for use in in_time) // MILLI
    taken = min(served, bought)
    refused = counted_refusals_millitokens(in_time, minute_rate_tokens(terms, bought)) // MILLI
    short = min(bought - taken, refused) if position.ended_at is None else bought - taken
    unused = bought - taken - short

    delivered_micros = notional * taken // bought
    paid = notional * (taken * PERMILLE + unused * terms.take_or_pay_permille) // (PERMILLE * bought)
    refund_short = notional * short // bought
    overage, overage_micros, overage_fee = _overage(terms, position, served - taken)
    return PositionOutcome(
        delivered_tokens=taken,
        unused_tokens=unused,
        short_tokens=short,
        overage_tokens=overage,
        excess_tokens=used - taken - overage,
        delivered_micros=delivered_micros,
        take_or_pay_micros=paid - delivered_micros,
        refund_unused_micros=notional - paid - refund_short,
        refund_short_micros=refund_short,
        damages_micros=_damages(terms, position, short),
        overage_fee_micros=overage_fee,
        pay=_payout(paid, terms, position),
        overage=_payout(overage_micros, terms, position),
    )


def difference(new: PositionOutcome, old: PositionOutcome) -> PositionOutcome:
    """What a later run has to post after an earlier one: new - old, figure by figure."""
    return PositionOutcome(
        delivered_tokens=new.delivered_tokens - old.delivered_tokens,
        unused_tokens=new.unused_tokens - old.unused_tokens,
        short_tokens=new.short_tokens - old.short_tokens,
        overage_tokens=new.overage_tokens - old.overage_tokens,
        excess_tokens=new.excess_tokens - old.excess_tokens,
        delivered_micros=new.delivered_micros - old.delivered_micros,
        take_or_pay_micros=new.take_or_pay_micros - old.take_or_pay_micros,
        refund_unused_micros=new.refund_unused_micros - old.refund_unused_micros,
        refund_short_micros=new.refund_short_micros - old.refund_short_micros,
        damages_micros=new.damages_micros - old.damages_micros,
        overage_fee_micros=new.overage_fee_micros - old.overage_fee_micros,
        pay=new.pay.minus(old.pay),
        overage=new.overage.minus(old.overage),
    )


def _payout(gross_micros: int, terms: PositionTerms, position: PositionInput) -> Payout:
    """The fee is the gross at the average of the fills' rates, weighted by their notionals: exact, rounded once."""
    fee = gross_micros * position.provider_fee_picos // (position.notional_micros * PPM)
    return Payout(gross_micros, fee, split(gross_micros - fee, terms.schedule))


def _damages(terms: PositionTerms, position: PositionInput, short: int) -> int:
    """floor(S (max(R - price, 0) + price damages_permille / 1000)), at most the bond; none under force majeure."""
    if position.force_majeure:
        return 0
    # Both prices over the common denominator Q x 1,000,000.
    own = position.notional_micros * PRICE_UNIT
    above_own = max(position.reference_price_micros * position.tokens - own, 0)
    dividend = short * (above_own * PERMILLE + own * terms.damages_permille)
    return min(dividend // (position.tokens * PRICE_UNIT * PERMILLE), position.bond_micros)


def _overage(terms: PositionTerms, position: PositionInput, above: int) -> tuple[int, int, int]:
    """(tokens, micros, buyer's fee) charged above Q, at max(price, R): as many as the cap and the hold allow."""
    dividend, divisor = position.notional_micros, position.tokens
    if position.reference_price_micros * divisor > dividend * PRICE_UNIT:
        dividend, divisor = position.reference_price_micros, PRICE_UNIT

    def charge(tokens: int) -> tuple[int, int]:
        micros = tokens * dividend // divisor
        return micros, micros * terms.buyer_fee_ppm // PPM

    most = min(above, position.overage_cap_tokens)
    # The charge grows with the tokens, so the last count the hold covers is found by bisection.
    covered = bisect_right(range(most + 1), position.overage_hold_micros, key=lambda tokens: sum(charge(tokens))) - 1
    return covered, *charge(covered)


def _require(holds: bool, field: str) -> None:
    if not holds:
        raise InvalidPosition(f"{field} is out of range.", field=field)
