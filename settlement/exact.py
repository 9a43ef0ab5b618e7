"""The exact value of every line of a position, before its one rounding: what a statement shows beside what was posted.

Fractions of a micro in lowest terms, cumulative. Where a formula takes an amount (a fee, a share, the reduction for
missed service), it takes the posted one. A posted amount is its exact value rounded down. Three may be rounded up: a
share by largest remainder, take-or-pay as what is paid besides delivered, and a micro more in the unused refund or
what is suspended, which take up the roundings of the escrow. What is made up is rounded once for each credit, and its
exact value is their sum. Pure.
"""

from __future__ import annotations

from math import gcd

from settlement.formulas import Quantities, Ratio, at_own_price, damages, judged, paid, price_above
from settlement.outcome import Payout, PositionOutcome
from settlement.position import PERMILLE, PPM, PositionInput, PositionTerms
from settlement.splits import WHOLE_PPM

PAYOUT_LINES = {"pay": "pay_provider", "overage": "overage", "made_up": "made_up"}


def figures_of(
    terms: PositionTerms, position: PositionInput, tokens: Quantities, outcome: PositionOutcome
) -> dict[str, Ratio]:
    """By kind of line, those of 0 left out; `tokens` and `outcome` are the position's.

    The parts of a payout are `<line>:provider_fee` and `<line>:share:<beneficiary>`; see `PAYOUT_LINES`.
    """
    settled = paid(terms, position, tokens.taken, tokens.unused)
    refund = at_own_price(position, tokens.unused_if_disputed)[0] * (PERMILLE - terms.take_or_pay_permille), settled[1]
    suspended = 0, settled[1]
    if position.disputed_millitokens:
        if_disputed = paid(terms, position, tokens.taken_if_disputed, tokens.unused_if_disputed)
        suspended = if_disputed[0] - settled[0], settled[1]
    price = price_above(position)
    figures = {
        "delivered": at_own_price(position, tokens.taken),
        "take_or_pay": paid(terms, position, 0, tokens.unused),
        "sla": (outcome.delivered_micros * judged(terms, position).permille, PERMILLE),
        "refund_unused": refund,
        "refund_short": at_own_price(position, tokens.short_if_disputed),
        "suspended": suspended,
        "damages": damages(terms, position, tokens.owing_damages),
        "overage": (outcome.overage_tokens * price[0], price[1]),
        "overage_fee": (outcome.overage.gross_micros * terms.buyer_fee_ppm, PPM),
        "made_up": (outcome.made_up.gross_micros, 1),
        "made_up_fee": (outcome.made_up.gross_micros * terms.buyer_fee_ppm, PPM),
    }
    for name, line in PAYOUT_LINES.items():
        payout = getattr(outcome, name)
        if payout.gross_micros:
            figures |= _payout(line, payout, position)
    return {kind: _lowest(ratio) for kind, ratio in figures.items() if ratio[0]}


def _payout(line: str, payout: Payout, position: PositionInput) -> dict[str, Ratio]:
    fee = payout.gross_micros * position.provider_fee_picos, position.notional_micros * PPM
    shares = {
        f"{line}:share:{amount.share.beneficiary}": (payout.net_micros * amount.share.weight_ppm, WHOLE_PPM)
        for amount in payout.shares
    }
    return {f"{line}:provider_fee": fee, **shares}


def _lowest(ratio: Ratio) -> Ratio:
    common = gcd(*ratio)
    return ratio[0] // common, ratio[1] // common
