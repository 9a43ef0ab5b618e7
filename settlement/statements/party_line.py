"""A line of a party's statement, what lines of a position have in common, and how its income was shared out. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from settlement.calculation import PRICE_UNIT, PositionOutcome, average_price_micros, difference

Exact = tuple[int, int]
PAY_PROVIDER, OVERAGE, MADE_UP = "pay_provider", "overage", "made_up"


class PartyLine(msgspec.Struct, frozen=True, gc=False):
    """One line of a party's statement. `party`, `counterparty` are codes, prices micros per million tokens.

    `value_micros` is what the run made of it at its price, signed; `amount_micros` what of that moved on the party's
    account: all of it, its opposite, or nothing (tokens that were paid out of escrow). `cumulative_micros` is the value
    over all runs so far, rounded once, `exact` (numerator, denominator, lowest terms) what was rounded. `reference` and
    `ref` name the ledger transaction and those of its legs that hold the line; both empty when nothing was posted.
    """

    party: str
    contract: str
    window_start: datetime
    window_end: datetime
    kind: str
    amount_micros: int
    value_micros: int
    cumulative_micros: int
    exact: Exact
    tax_category: str
    tax_rate_ppm: int
    counterparty: str = ""
    tokens: int | None = None
    price_micros: int | None = None
    beneficiary: str = ""
    reference: str = ""
    ref: str = ""
    place: int = 0


@dataclass(frozen=True, slots=True)
class LineTerms:
    """What all lines of a position have in common; parties by their codes. `tokens` and `notional_micros` are Q and N,
    the reference price is in micros per million tokens."""

    contract: str
    window_start: datetime
    window_end: datetime
    buyer: str
    provider: str
    house: str
    tokens: int
    notional_micros: int
    reference_price_micros: int
    tax_category: str
    tax_rate_ppm: int

    @property
    def price_micros(self) -> int:
        return average_price_micros(self.notional_micros, self.tokens)

    @property
    def overage_price_micros(self) -> int:
        """max(position's price, reference), compared exactly."""
        if self.reference_price_micros * self.tokens > self.notional_micros * PRICE_UNIT:
            return self.reference_price_micros
        return self.price_micros


@dataclass(frozen=True, slots=True)
class PositionSplit:
    """How a net amount of a position was shared out in this run. `kind`: out of which posting it came."""

    contract: str
    buyer: str
    provider: str
    kind: str
    schedule_version: int
    beneficiary: str
    weight_ppm: int
    micros: int


def plain_line(
    terms: LineTerms,
    *,
    party: str,
    kind: str,
    micros: int,
    cumulative_micros: int,
    reference: str,
    ref: str,
    counterparty: str = "",
    place: int = 0,
) -> PartyLine:
    """A line that is what it moved, exactly: a debt, a claim, what a dispute came to."""
    return PartyLine(
        party=party,
        contract=terms.contract,
        window_start=terms.window_start,
        window_end=terms.window_end,
        kind=kind,
        amount_micros=micros,
        value_micros=micros,
        cumulative_micros=cumulative_micros,
        exact=(cumulative_micros, 1),
        tax_category=terms.tax_category,
        tax_rate_ppm=terms.tax_rate_ppm,
        counterparty=counterparty,
        reference=reference,
        ref=ref if reference else "",
        place=place,
    )


def unmatched_line(terms: LineTerms, *, party: str, counterparty: str, tokens: int, place: int) -> PartyLine:
    """Usage with somebody the party has no position with: said, never charged."""
    line = plain_line(
        terms,
        party=party,
        kind="unmatched",
        micros=0,
        cumulative_micros=0,
        reference="",
        ref="",
        counterparty=counterparty,
        place=place,
    )
    return msgspec.structs.replace(line, tokens=tokens)


def position_splits(
    position: tuple[str, str, str],
    outcome: PositionOutcome,
    earlier: PositionOutcome | None,
    *,
    schedule_version: int,
) -> list[PositionSplit]:
    """How this run shared out the net money of a position (contract, buyer, provider), the provider's own share
    included; none where nothing is shared."""
    contract, buyer, provider = position
    posted = outcome if earlier is None else difference(outcome, earlier)
    return [
        PositionSplit(
            contract=contract,
            buyer=buyer,
            provider=provider,
            kind=kind,
            schedule_version=schedule_version,
            beneficiary=amount.share.beneficiary,
            weight_ppm=amount.share.weight_ppm,
            micros=amount.micros,
        )
        for kind, payout in ((PAY_PROVIDER, posted.pay), (OVERAGE, posted.overage), (MADE_UP, posted.made_up))
        if payout.gross_micros and len(payout.shares) > 1
        for amount in payout.shares
    ]
