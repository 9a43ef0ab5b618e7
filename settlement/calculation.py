"""What a position comes to: tokens delivered, unused, short and above, and the money that follows.

All figures are cumulative over a position's whole window, so a later run computes them afresh and posts the
`difference`. Money is integer micros, tokens are integers; every product is exact and rounded once, down. Each rule
with a worked example: SETTLEMENT.md.
"""

from __future__ import annotations

from bisect import bisect_right

from settlement import exact
from settlement.formulas import Quantities, Ratio, at_own_price, damages, judged, paid, price_above, quantities
from settlement.make_up import credit_tokens, take_credits
from settlement.outcome import NO_PAYOUT, Payout, PositionOutcome, difference
from settlement.position import (
    MILLI,
    PERMILLE,
    PPM,
    PRICE_UNIT,
    MinuteUse,
    PositionInput,
    PositionTerms,
    average_price_micros,
    counted_refusals_millitokens,
    minute_rate_tokens,
)
from settlement.splits import split

__all__ = [
    "MILLI",
    "NO_PAYOUT",
    "PERMILLE",
    "PPM",
    "PRICE_UNIT",
    "MinuteUse",
    "Payout",
    "PositionInput",
    "PositionOutcome",
    "PositionTerms",
    "average_price_micros",
    "calculate",
    "calculate_exactly",
    "counted_refusals_millitokens",
    "difference",
    "exact_figures",
    "minute_rate_tokens",
]


def calculate(terms: PositionTerms, position: PositionInput) -> PositionOutcome:
    """The cumulative figures of a position.

    taken = min(used, Q); S = min(Q - taken, counted refusals), or Q - taken if the position was ended;
    B = Q - taken - S;
    delivered = floor(N taken / Q); paid = floor(N (1000 taken + B take_or_pay) / 1000 Q); of paid, floor(delivered
    permille / 1000) goes back for missed service; of the refund N - paid, what open cases could still turn into pay is
    suspended, floor(N S / Q) is for short and the rest for unused: S, and damages, of what is short whoever is right.
    """
    return _outcome(terms, position, quantities(terms, position))


def calculate_exactly(terms: PositionTerms, position: PositionInput) -> tuple[PositionOutcome, dict[str, Ratio]]:
    """What `calculate` and `exact_figures` come to, at once."""
    tokens = quantities(terms, position)
    outcome = _outcome(terms, position, tokens)
    return outcome, exact.figures_of(terms, position, tokens, outcome)


def exact_figures(
    terms: PositionTerms, position: PositionInput, outcome: PositionOutcome | None = None
) -> dict[str, Ratio]:
    """The exact value of each line, cumulative, as a fraction of a micro in lowest terms; lines of 0 are left out.

    By kind of line; see `settlement.exact`. `outcome` saves calculating it again.
    """
    tokens = quantities(terms, position)
    return exact.figures_of(terms, position, tokens, _outcome(terms, position, tokens) if outcome is None else outcome)


def _outcome(terms: PositionTerms, position: PositionInput, tokens: Quantities) -> PositionOutcome:
    delivered = _floor(at_own_price(position, tokens.taken))
    all_paid = _floor(paid(terms, position, tokens.taken, tokens.unused))
    refund_short = _floor(at_own_price(position, tokens.short_if_disputed))
    suspended = 0
    if position.disputed_millitokens:
        suspended = _floor(paid(terms, position, tokens.taken_if_disputed, tokens.unused_if_disputed)) - all_paid
    verdict = judged(terms, position)
    off = delivered * verdict.permille // PERMILLE

    hold = position.overage_hold_micros
    made_up = take_credits(position.make_up, tokens.above, fee_ppm=terms.buyer_fee_ppm, hold_micros=hold)
    above, hold = tokens.above - made_up.tokens, hold - made_up.micros - made_up.fee_micros
    overage, overage_micros, overage_fee = _overage(terms, position, above, hold)
    return PositionOutcome(
        delivered_tokens=tokens.taken,
        unused_tokens=tokens.unused,
        short_tokens=tokens.short,
        overage_tokens=overage,
        excess_tokens=tokens.used - tokens.taken - made_up.tokens - overage,
        delivered_micros=delivered,
        take_or_pay_micros=all_paid - delivered,
        refund_unused_micros=position.notional_micros - all_paid - refund_short - suspended,
        refund_short_micros=refund_short,
        damages_micros=_floor(damages(terms, position, tokens.owing_damages)),
        overage_fee_micros=overage_fee,
        pay=_payout(all_paid - off, terms, position),
        overage=_payout(overage_micros, terms, position),
        sla_micros=off,
        suspended_micros=suspended,
        made_up_tokens=made_up.tokens,
        made_up=_payout(made_up.micros, terms, position) if made_up.micros else NO_PAYOUT,
        made_up_fee_micros=made_up.fee_micros,
        credit_tokens=credit_tokens(tokens.unused, terms.make_up_permille),
        made_up_from=made_up.taken,
        missed=verdict.missed,
    )


def _floor(ratio: Ratio) -> int:
    return ratio[0] // ratio[1]


def _payout(gross_micros: int, terms: PositionTerms, position: PositionInput) -> Payout:
    """The fee is the gross at the average of the fills' rates, weighted by their notionals: exact, rounded once."""
    fee = gross_micros * position.provider_fee_picos // (position.notional_micros * PPM)
    return Payout(gross_micros, fee, split(gross_micros - fee, terms.schedule))


def _overage(terms: PositionTerms, position: PositionInput, above: int, hold_micros: int) -> tuple[int, int, int]:
    """(tokens, micros, buyer's fee) charged above Q, at max(price, R): as many as the cap and the hold allow."""
    most = min(above, position.overage_cap_tokens)
    if most == 0:
        return 0, 0, 0
    dividend, divisor = price_above(position)

    def charge(tokens: int) -> tuple[int, int]:
        micros = tokens * dividend // divisor
        return micros, micros * terms.buyer_fee_ppm // PPM

    # The charge grows with the tokens, so the last count the hold covers is found by bisection.
    covered = bisect_right(range(most + 1), hold_micros, key=lambda tokens: sum(charge(tokens))) - 1
    return covered, *charge(covered)
