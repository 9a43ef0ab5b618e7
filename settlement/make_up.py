"""The right to make up for tokens that were paid and not taken: what a position earns, and what a later one uses. Pure.

It is a right to a price, not to capacity: use above a later position that nobody refused costs what was still unpaid
of the earlier tokens, before any of it is overage.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from settlement.errors import InvalidPosition

PERMILLE = 1000
PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class MakeUp:
    """What is left of an earlier position's credit. Its tokens cost `charge_permille` of that position's price.

    `source` names the contract of that position, which bought `bought_tokens` for `notional_micros`.
    """

    source: str
    tokens: int
    notional_micros: int
    bought_tokens: int
    charge_permille: int

    def __post_init__(self) -> None:
        if not (
            self.tokens >= 0
            and self.notional_micros >= 0
            and self.bought_tokens > 0
            and 0 <= self.charge_permille <= PERMILLE
        ):
            raise InvalidPosition("make_up is out of range.", field="make_up")

    def charge_micros(self, tokens: int) -> int:
        """What `tokens` of it cost, rounded down."""
        return self.notional_micros * tokens * self.charge_permille // (self.bought_tokens * PERMILLE)


@dataclass(frozen=True, slots=True)
class MadeUp:
    """Tokens taken under credits, from which, and what the buyer pays for them."""

    tokens: int = 0
    micros: int = 0
    fee_micros: int = 0
    taken: tuple[tuple[str, int], ...] = ()


NOTHING_MADE_UP = MadeUp()


def credit_tokens(unused_tokens: int, make_up_permille: int) -> int:
    """How many of the tokens that nobody asked for may be made up later."""
    return unused_tokens * make_up_permille // PERMILLE


def take_credits(credits: Sequence[MakeUp], tokens: int, *, fee_ppm: int, hold_micros: int) -> MadeUp:
    """As many of `tokens` as the credits give, in their order, and as `hold_micros` covers with the buyer's fee."""
    most = min(tokens, sum(credit.tokens for credit in credits))
    if most <= 0:
        return NOTHING_MADE_UP

    def charge(count: int) -> int:
        micros = sum(credit.charge_micros(taken) for credit, taken in _taken(credits, count))
        return micros + micros * fee_ppm // PPM

    # The charge grows with the tokens, so the last count the hold covers is found by bisection.
    covered = most if charge(most) <= hold_micros else bisect_right(range(most + 1), hold_micros, key=charge) - 1
    taken = _taken(credits, covered)
    micros = sum(credit.charge_micros(count) for credit, count in taken)
    return MadeUp(
        tokens=covered,
        micros=micros,
        fee_micros=micros * fee_ppm // PPM,
        taken=tuple((credit.source, count) for credit, count in taken),
    )


def _taken(credits: Sequence[MakeUp], tokens: int) -> list[tuple[MakeUp, int]]:
    """How many of `tokens` each credit gives; those that give none are left out."""
    parts: list[tuple[MakeUp, int]] = []
    for credit in credits:
        count = min(credit.tokens, tokens)
        tokens -= count
        if count:
            parts.append((credit, count))
    return parts
