"""The lines of a position as each party sees them: what a run changed, what all runs so far came to, and exactly. Pure.

Amounts follow the postings of `settlement.postings` one to one: a party's lines under one journal reference and ref
sum to what the legs under them moved on its account.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from settlement.calculation import Payout, PositionOutcome, difference
from settlement.splits import Recipient
from settlement.statements.party_line import (
    MADE_UP,
    OVERAGE,
    PAY_PROVIDER,
    Exact,
    LineTerms,
    PartyLine,
    PositionSplit,
    plain_line,
    position_splits,
    unmatched_line,
)

__all__ = [
    "Exact",
    "LineTerms",
    "PartyLine",
    "PositionSplit",
    "plain_line",
    "position_lines",
    "position_splits",
    "unmatched_line",
]


def position_lines(
    terms: LineTerms,
    outcome: PositionOutcome,
    earlier: PositionOutcome | None,
    exact: Mapping[str, Exact],
    *,
    reference: str,
    codes: Mapping[int, str],
    place: int = 0,
) -> list[PartyLine]:
    """The lines of buyer, provider, beneficiaries and house, in this order, numbered from `place` on.

    `outcome` is cumulative, `earlier` what the runs before came to (None: there were none), `exact` as
    `settlement.calculation.exact_figures` gives it for `outcome`. `reference` is the transaction that posts the
    position, empty for a run that posts nothing. `codes` names the parties of shares. Only lines that say something
    are told: an amount, a value or tokens.
    """
    posted = outcome if earlier is None else difference(outcome, earlier)
    writer = _Writer(terms, outcome, posted, exact, reference, place)
    _buyer_lines(writer)
    _provider_lines(writer)
    _beneficiary_lines(writer, codes)
    _house_lines(writer)
    return writer.lines


class _Part(NamedTuple):
    """What a posted payout does not leave with the provider: the fee, or the share of a beneficiary.

    `micros` are (posted, cumulative), `exact` is its name among the exact figures, `party_id` whose the share is.
    """

    kind: str
    micros: tuple[int, int]
    exact: str
    ref: str
    beneficiary: str = ""
    party_id: int | None = None


class _Writer:
    """Writes the lines of one position. A side is (party, counterparty)."""

    def __init__(
        self,
        terms: LineTerms,
        outcome: PositionOutcome,
        posted: PositionOutcome,
        exact: Mapping[str, Exact],
        reference: str,
        place: int,
    ) -> None:
        self.terms, self.outcome, self.posted, self.exact = terms, outcome, posted, exact
        self.lines: list[PartyLine] = []
        self._reference, self._place = reference, place
        self.parts = {
            PAY_PROVIDER: list(_parts(PAY_PROVIDER, posted.pay, outcome.pay)),
            MADE_UP: list(_parts(MADE_UP, posted.made_up, outcome.made_up)),
            OVERAGE: list(_parts(OVERAGE, posted.overage, outcome.overage)),
        }

    def add(
        self,
        side: tuple[str, str],
        kind: str,
        micros: tuple[int, int],
        exact: str,
        *,
        moved: int,
        ref: str = "",
        tokens: int | None = None,
        price: int | None = None,
        beneficiary: str = "",
    ) -> None:
        """A line of (posted, cumulative) micros. `moved`: 1 if the party received them, -1 if it paid, 0 if they did
        not pass through its account; what it paid is worth less than nothing to it."""
        value, cumulative = micros
        if not value and not tokens:
            return
        sign = -1 if moved < 0 else 1
        numerator, denominator = self.exact.get(exact, (cumulative, 1))
        posted = self._reference if value else ""  # what comes to nothing is not posted
        self.lines.append(
            PartyLine(
                party=side[0],
                contract=self.terms.contract,
                window_start=self.terms.window_start,
                window_end=self.terms.window_end,
                kind=kind,
                amount_micros=moved * value,
                value_micros=sign * value,
                cumulative_micros=sign * cumulative,
                exact=(sign * numerator, denominator),
                tax_category=self.terms.tax_category,
                tax_rate_ppm=self.terms.tax_rate_ppm,
                counterparty=side[1],
                tokens=tokens,
                price_micros=price,
                beneficiary=beneficiary,
                reference=posted,
                ref=ref if posted else "",
                place=self._place,
            )
        )
        self._place += 1

    def add_part(self, side: tuple[str, str], part: _Part, *, moved: int) -> None:
        """A line of a part of a payout."""
        self.add(side, part.kind, part.micros, part.exact, moved=moved, ref=part.ref, beneficiary=part.beneficiary)

    def told(self, side: tuple[str, str], kind: str, tokens: int) -> None:
        """A line of tokens that no money followed."""
        self.add(side, kind, (0, 0), "", moved=0, tokens=tokens)


def _buyer_lines(to: _Writer) -> None:
    """Delivered tokens and take-or-pay came out of escrow: value without amount."""
    terms, new, all_ = to.terms, to.posted, to.outcome
    side, price, unused, short = (terms.buyer, terms.provider), terms.price_micros, new.unused_tokens, new.short_tokens
    _earned(to, side, price, moved=0)
    to.add(side, "sla", (new.sla_micros, all_.sla_micros), "sla", moved=1, ref="sla")
    micros = (new.refund_unused_micros, all_.refund_unused_micros)
    to.add(side, "refund_unused", micros, "refund_unused", moved=1, ref="refund_unused", tokens=unused)
    micros = (new.refund_short_micros, all_.refund_short_micros)
    to.add(side, "refund_short", micros, "refund_short", moved=1, ref="refund_short", tokens=short)
    to.add(side, "suspended", (new.suspended_micros, all_.suspended_micros), "suspended", moved=0, ref="suspended")
    to.add(side, "damages", (new.damages_micros, all_.damages_micros), "damages", moved=1, ref="damages", tokens=short)
    micros = (new.made_up.gross_micros, all_.made_up.gross_micros)
    to.add(side, "made_up", micros, "made_up", moved=-1, ref=MADE_UP, tokens=new.made_up_tokens)
    micros = (new.made_up_fee_micros, all_.made_up_fee_micros)
    to.add(side, "made_up_fee", micros, "made_up_fee", moved=-1, ref=MADE_UP)
    micros = (new.overage.gross_micros, all_.overage.gross_micros)
    above, tokens = terms.overage_price_micros, new.overage_tokens
    to.add(side, "overage", micros, "overage", moved=-1, ref=OVERAGE, tokens=tokens, price=above)
    micros = (new.overage_fee_micros, all_.overage_fee_micros)
    to.add(side, "overage_fee", micros, "overage_fee", moved=-1, ref=OVERAGE)
    to.told(side, "make_up_credit", new.credit_tokens)
    to.told(side, "excess", new.excess_tokens)


def _provider_lines(to: _Writer) -> None:
    terms, new, all_ = to.terms, to.posted, to.outcome
    side, price, short = (terms.provider, terms.buyer), terms.price_micros, new.short_tokens
    _earned(to, side, price, moved=1)
    to.add(side, "sla", (new.sla_micros, all_.sla_micros), "sla", moved=-1, ref=PAY_PROVIDER)
    _deductions(to, side, PAY_PROVIDER)
    micros = (new.refund_short_micros, all_.refund_short_micros)
    to.add(side, "short", micros, "refund_short", moved=0, ref="refund_short", tokens=short, price=price)
    to.add(side, "suspended", (new.suspended_micros, all_.suspended_micros), "suspended", moved=0, ref="suspended")
    to.add(side, "damages", (new.damages_micros, all_.damages_micros), "damages", moved=-1, ref="damages", tokens=short)
    micros = (new.made_up.gross_micros, all_.made_up.gross_micros)
    to.add(side, "made_up", micros, "made_up", moved=1, ref=MADE_UP, tokens=new.made_up_tokens)
    _deductions(to, side, MADE_UP)
    micros = (new.overage.gross_micros, all_.overage.gross_micros)
    above, tokens = terms.overage_price_micros, new.overage_tokens
    to.add(side, "overage", micros, "overage", moved=1, ref=OVERAGE, tokens=tokens, price=above)
    _deductions(to, side, OVERAGE)
    to.told(side, "make_up_credit", new.credit_tokens)
    to.told(side, "excess", new.excess_tokens)


def _earned(to: _Writer, side: tuple[str, str], price: int, *, moved: int) -> None:
    new, all_ = to.posted, to.outcome
    micros, tokens = (new.delivered_micros, all_.delivered_micros), new.delivered_tokens
    to.add(side, "delivered", micros, "delivered", moved=moved, ref=PAY_PROVIDER, tokens=tokens, price=price)
    micros, tokens = (new.take_or_pay_micros, all_.take_or_pay_micros), new.unused_tokens
    to.add(side, "take_or_pay", micros, "take_or_pay", moved=moved, ref=PAY_PROVIDER, tokens=tokens, price=price)


def _parts(name: str, new: Payout, all_: Payout) -> Iterator[_Part]:
    """The fee of the payout that posting `name` makes, and others' shares, each as far as the run changed it."""
    if new.fee_micros:
        yield _Part("provider_fee", (new.fee_micros, all_.fee_micros), f"{name}:provider_fee", name)
    for amount in new.shares:
        share = amount.share
        if amount.micros and share.recipient is not Recipient.PROVIDER:
            total = sum([each.micros for each in all_.shares if each.share == share])
            exact = f"{name}:share:{share.beneficiary}"
            yield _Part("share", (amount.micros, total), exact, name, share.beneficiary, share.party_id)


def _deductions(to: _Writer, side: tuple[str, str], name: str) -> None:
    """What the payout that posting `name` makes does not leave with the provider."""
    for part in to.parts[name]:
        to.add_part(side, part, moved=-1)


def _beneficiary_lines(to: _Writer, codes: Mapping[int, str]) -> None:
    """The shares that went to other parties."""
    for parts in to.parts.values():
        for part in parts:
            if part.party_id is not None:
                to.add_part((codes[part.party_id], to.terms.provider), part, moved=1)


def _house_lines(to: _Writer) -> None:
    """The fees that the position brought the house."""
    terms, posted, outcome = to.terms, to.posted, to.outcome
    of_provider, of_buyer = (terms.house, terms.provider), (terms.house, terms.buyer)
    for parts in to.parts.values():
        for part in parts:
            if part.kind == "provider_fee":
                to.add_part(of_provider, part, moved=1)
    micros = (posted.made_up_fee_micros, outcome.made_up_fee_micros)
    to.add(of_buyer, "made_up_fee", micros, "made_up_fee", moved=1, ref=MADE_UP)
    micros = (posted.overage_fee_micros, outcome.overage_fee_micros)
    to.add(of_buyer, "overage_fee", micros, "overage_fee", moved=1, ref=OVERAGE)
