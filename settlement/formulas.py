"""The formulas of a position before any rounding: quantities in tokens, amounts as fractions of a micro. Pure.

Notation: N notional (micros), Q tokens bought, R reference price (micros per million tokens). The position's own price
is the exact ratio N / Q in micros per token; R is R / 1,000,000 micros per token.
"""

from __future__ import annotations

from typing import NamedTuple

from settlement.position import (
    MILLI,
    PERMILLE,
    PRICE_UNIT,
    PositionInput,
    PositionTerms,
    counted_refusals_millitokens,
    minute_rate_tokens,
)
from settlement.sla import NOTHING_MISSED, SlaVerdict, judge_service

Ratio = tuple[int, int]  # numerator and denominator (> 0), in micros


class Quantities(NamedTuple):
    """What became of Q = taken + short + unused, and what was used besides. Whole tokens.

    `above` was served in time beyond Q; `excused` of short owes no damages. If the larger claims of open cases were
    right, `taken_if_disputed` would be taken, `unused_if_disputed` unused and `short_if_disputed` short: no more than
    now of the latter two.
    """

    used: int
    taken: int
    short: int
    unused: int
    above: int
    excused: int
    taken_if_disputed: int
    unused_if_disputed: int

    @property
    def short_if_disputed(self) -> int:
        return self.taken + self.short + self.unused - self.taken_if_disputed - self.unused_if_disputed

    @property
    def owing_damages(self) -> int:
        """Excused tokens come first."""
        return max(self.short_if_disputed - self.excused, 0)


def quantities(terms: PositionTerms, position: PositionInput) -> Quantities:
    """S = min(Q - taken, counted refusals), or Q - taken if the position was ended; B the rest."""
    bought, ended_at = position.tokens, position.ended_at
    # Thousandths become whole tokens once for the whole window, so slicing the use changes nothing.
    used = served = sum(use.delivered_millitokens for use in position.minutes)
    in_time = position.minutes
    if ended_at is not None:
        in_time = tuple(use for use in position.minutes if use.minute < ended_at)
        served = sum(use.delivered_millitokens for use in in_time)
    rate = minute_rate_tokens(terms, bought)
    refused = counted_refusals_millitokens(in_time, rate) // MILLI

    def short_of(taken: int) -> int:
        return min(bought - taken, refused) if ended_at is None else bought - taken

    taken = min(served // MILLI, bought)
    short = short_of(taken)
    if position.force_majeure:
        excused = short
    elif position.force_majeure_spans:
        in_spans = [use for use in in_time if position.excuses(use.minute)]
        excused = min(short, counted_refusals_millitokens(in_spans, rate) // MILLI)
    else:
        excused = 0
    disputed = min((served + position.disputed_millitokens) // MILLI, bought)
    return Quantities(
        used=used // MILLI,
        taken=taken,
        short=short,
        unused=bought - taken - short,
        above=served // MILLI - taken,
        excused=excused,
        taken_if_disputed=disputed,
        unused_if_disputed=bought - disputed - short_of(disputed),
    )


def at_own_price(position: PositionInput, tokens: int) -> Ratio:
    """N tokens / Q."""
    return position.notional_micros * tokens, position.tokens


def paid(terms: PositionTerms, position: PositionInput, taken: int, unused: int) -> Ratio:
    """N (1000 taken + unused take_or_pay) / 1000 Q."""
    parts = taken * PERMILLE + unused * terms.take_or_pay_permille
    return position.notional_micros * parts, position.tokens * PERMILLE


def judged(terms: PositionTerms, position: PositionInput) -> SlaVerdict:
    """Nothing is missed where nothing was promised, or nobody knows how requests were served."""
    if terms.sla is None or position.service is None:
        return NOTHING_MISSED
    return judge_service(terms.sla, position.service)


def damages(terms: PositionTerms, position: PositionInput, short: int) -> Ratio:
    """S (max(R - price, 0) + price damages_permille / 1000), at most the bond; S without what is excused."""
    # Both prices over the common denominator Q x 1,000,000.
    own = position.notional_micros * PRICE_UNIT
    above_own = max(position.reference_price_micros * position.tokens - own, 0)
    dividend = short * (above_own * PERMILLE + own * terms.damages_permille)
    divisor = position.tokens * PRICE_UNIT * PERMILLE
    return (dividend, divisor) if dividend < position.bond_micros * divisor else (position.bond_micros, 1)


def price_above(position: PositionInput) -> Ratio:
    """max(price, R), per token: what a token above the position costs."""
    if position.reference_price_micros * position.tokens > position.notional_micros * PRICE_UNIT:
        return position.reference_price_micros, PRICE_UNIT
    return position.notional_micros, position.tokens
