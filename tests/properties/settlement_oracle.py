"""The rules of SETTLEMENT.md a second time, in exact fractions and by other ways: what `calculate` is compared with.

Nothing of the calculation is used, only its inputs. Amounts stay fractions until they are rounded; how much a hold
covers is solved, not searched.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from settlement.calculation import PositionInput, PositionTerms
from settlement.make_up import MakeUp
from settlement.sla import ServiceFigures, SlaRule

NOTHING = Fraction(0)


@dataclass
class Figures:
    """What a position comes to: whole tokens, posted micros, and the exact micros behind them, by name."""

    tokens: dict[str, int]
    posted: dict[str, int]
    exact: dict[str, Fraction]
    made_up_from: dict[str, int]
    missed: set[str]


def settle(terms: PositionTerms, position: PositionInput) -> Figures:
    bought, price = position.tokens, Fraction(position.notional_micros, position.tokens)
    reference = Fraction(position.reference_price_micros, 1_000_000)
    begun = [use for use in position.minutes if not (position.ended_at and use.minute >= position.ended_at)]
    used = floor(sum(Fraction(use.delivered_millitokens, 1000) for use in position.minutes))
    served_exact = sum((Fraction(use.delivered_millitokens, 1000) for use in begun), NOTHING)
    served = floor(served_exact)
    rate = max(
        terms.max_request_tokens,
        ceil(Fraction(bought * 60, terms.window_seconds) * Fraction(terms.burst_permille, 1000)),
    )
    counted = {
        use.minute: min(
            Fraction(use.refused_millitokens, 1000), max(NOTHING, rate - Fraction(use.delivered_millitokens, 1000))
        )
        for use in begun
    }
    inside = [
        refused
        for minute, refused in counted.items()
        if any(start <= minute < end for start, end in position.force_majeure_spans)
    ]

    def shares_of(taken: int) -> tuple[int, int]:
        """Short and unused beside so many taken."""
        rest = bought - taken
        short = rest if position.ended_at else min(rest, floor(sum(counted.values(), NOTHING)))
        return short, rest - short

    def worth(taken: int, unused: int) -> Fraction:
        return price * taken + price * unused * Fraction(terms.take_or_pay_permille, 1000)

    taken = min(bought, served)
    short, unused = shares_of(taken)
    excused = short if position.force_majeure else min(short, floor(sum(inside, NOTHING)))
    paid = worth(taken, unused)
    delivered = floor(price * taken)

    # The provider gets what the smaller claim gives it, the buyer what the larger one leaves: the rest is suspended.
    claimed = min(bought, floor(served_exact + Fraction(position.disputed_millitokens, 1000)))
    sure_short, sure_unused = shares_of(claimed)
    claim = worth(claimed, sure_unused)
    refund, short_refund = price * sure_unused * (1 - Fraction(terms.take_or_pay_permille, 1000)), price * sure_short
    suspended, suspended_exact = floor(claim) - floor(paid), claim - paid

    missed = _missed(terms.sla, position.service)
    off = NOTHING
    if terms.sla is not None:
        off = delivered * Fraction(min(terms.sla.cap_permille, sum(missed.values())), 1000)

    owing = sure_short - min(sure_short, excused)
    damages = owing * (max(reference - price, NOTHING) + price * Fraction(terms.damages_permille, 1000))
    damages = min(damages, Fraction(position.bond_micros))

    fee = Fraction(terms.buyer_fee_ppm, 1_000_000)
    taken_from, made_up = _made_up(position.make_up, served - taken, _gross_within(position.overage_hold_micros, fee))
    hold = position.overage_hold_micros - made_up - floor(made_up * fee)
    dear = max(price, reference)
    overage = min(
        served - taken - sum(taken_from.values()),
        position.overage_cap_tokens,
        ceil((_gross_within(hold, fee) + 1) / dear) - 1,
    )
    tokens = {
        "delivered": taken, "unused": unused, "short": short, "made_up": sum(taken_from.values()), "overage": overage,
        "excess": used - taken - sum(taken_from.values()) - overage,
        "credit": floor(Fraction(unused * terms.make_up_permille, 1000)),
    }  # fmt: skip
    charged = floor(overage * dear)
    exact = {
        "delivered": price * taken, "take_or_pay": price * unused * Fraction(terms.take_or_pay_permille, 1000),
        "sla": off, "refund_unused": refund, "refund_short": short_refund,
        "suspended": suspended_exact, "damages": damages, "overage": overage * dear, "overage_fee": charged * fee,
        "made_up": Fraction(made_up), "made_up_fee": made_up * fee,
    }  # fmt: skip
    posted = {kind: floor(value) for kind, value in exact.items()} | {
        "take_or_pay": floor(paid) - delivered, "suspended": suspended,
        "refund_unused": position.notional_micros - floor(claim) - floor(short_refund),
    }  # fmt: skip
    gross = {"pay": floor(paid) - floor(off), "overage": charged, "made_up": made_up}
    own = Fraction(position.provider_fee_picos, position.notional_micros * 1_000_000)
    for name, micros in gross.items():
        posted[f"{name}.gross"], posted[f"{name}.fee"] = micros, floor(micros * own)
        exact[f"{name}.fee"] = micros * own
    return Figures(tokens, posted, exact, taken_from, set(missed))


def _missed(rule: SlaRule | None, figures: ServiceFigures | None) -> dict[str, int]:
    """What each missed measure takes off, in permille."""
    if rule is None or figures is None:
        return {}
    enough = figures.timed_requests >= rule.min_requests
    asked = figures.served + figures.failed
    slow = figures.output_ms > 0 and Fraction(figures.output_tokens * 1000, figures.output_ms)
    tests = {
        "ttft": (enough and (figures.ttft_p95_ms or 0) > rule.ttft_p95_ms, rule.ttft_permille),
        "speed": (enough and slow is not False and slow < rule.output_tokens_per_s, rule.speed_permille),
        "availability": (
            asked > 0 and asked >= rule.min_requests
            and Fraction(figures.served, asked) < Fraction(rule.availability_ppm, 1_000_000),
            rule.availability_permille,
        ),
    }  # fmt: skip
    return {name: permille for name, (failed, permille) in tests.items() if failed}


def _gross_within(hold: int, fee: Fraction) -> int:
    """The largest gross that fits a hold together with the fee on it, which is rounded down."""
    gross = floor((hold + 1) / (1 + fee))
    while gross + floor(gross * fee) <= hold:
        gross += 1
    while gross > 0 and gross + floor(gross * fee) > hold:
        gross -= 1
    return gross


def _made_up(credits: tuple[MakeUp, ...], tokens: int, budget: int) -> tuple[dict[str, int], int]:
    """Tokens by credit, oldest first, and what they cost in all; never more than the budget."""
    taken: dict[str, int] = {}
    spent = 0
    for credit in credits:
        price = Fraction(credit.notional_micros * credit.charge_permille, credit.bought_tokens * 1000)
        wanted = min(tokens, credit.tokens)
        fits = wanted if price == 0 else min(wanted, ceil((budget - spent + 1) / price) - 1)
        if fits:
            taken[credit.source] = fits
        spent += floor(fits * price)
        tokens -= fits
        if fits < wanted:
            break
    return taken, spent
