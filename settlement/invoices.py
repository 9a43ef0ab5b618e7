"""What suppliers invoice recipients for a period, out of the lines of settlement. Pure.

Prices and fees are tax-inclusive. A row is rounded to the currency's minor unit once, on the cumulative of its group
over all runs of the period, so it never drifts from what was posted by more than half a minor unit, however many runs
there are. What a later run changes is a row that reverses the one before, and a new one. Damages, refunds and what
debts and claims moved are no supply and are not invoiced.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from settlement.minor_units import round_to_minor

PPM = 1_000_000


class Supply(StrEnum):
    """Between whom a line's money is the price of something."""

    SALE = "sale"  # the line's party supplies the other side
    FEE = "fee"  # the house supplies the line's party, which pays


# By kind of line; a decided dispute counts as the line it was about. What the other side's lines say again is left out.
SALES_OF_PROVIDERS = frozenset({"delivered", "take_or_pay", "overage", "made_up", "sla"})
SALES_OF_BENEFICIARIES = frozenset({"share"})
FEES_OF_PROVIDERS = frozenset({"provider_fee"})
FEES_OF_BUYERS = frozenset({"overage_fee", "made_up_fee", "trading_fee"})


class SideOfLine(StrEnum):
    """As what a party has a line."""

    BUYER = "buyer"
    PROVIDER = "provider"
    BENEFICIARY = "beneficiary"
    HOUSE = "house"


_TOLD_BY = {
    **dict.fromkeys(SALES_OF_PROVIDERS, (SideOfLine.PROVIDER, Supply.SALE)),
    **dict.fromkeys(SALES_OF_BENEFICIARIES, (SideOfLine.BENEFICIARY, Supply.SALE)),
    **dict.fromkeys(FEES_OF_PROVIDERS, (SideOfLine.PROVIDER, Supply.FEE)),
    **dict.fromkeys(FEES_OF_BUYERS, (SideOfLine.BUYER, Supply.FEE)),
}


class InvoiceKey(NamedTuple):
    """What makes one row of a period: who supplies whom, and how it is taxed."""

    supplier_id: int
    recipient_id: int
    tax_category: str
    tax_rate_ppm: int


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """A posted line, or the sum of some alike: micros as they moved on the cash of `party_id`."""

    party_id: int
    side: SideOfLine
    counterparty_id: int | None
    kind: str
    micros: int
    tax_category: str
    tax_rate_ppm: int


@dataclass(frozen=True, slots=True)
class InvoiceFigures:
    """Minor units; gross = net + tax. Negative when the supplier gives more back than it supplied."""

    gross_minor: int
    net_minor: int
    tax_minor: int

    def reversed(self) -> InvoiceFigures:
        return InvoiceFigures(-self.gross_minor, -self.net_minor, -self.tax_minor)


def group_lines(lines: Iterable[InvoiceLine], *, house_id: int) -> dict[InvoiceKey, int]:
    """The gross micros of each row: what the recipient pays for, as far as lines say so."""
    gross: dict[InvoiceKey, int] = defaultdict(int)
    for line in lines:
        side, supply = _TOLD_BY.get(line.kind, (None, None))
        if line.side is not side:
            continue
        if supply is Supply.FEE:
            gross[InvoiceKey(house_id, line.party_id, line.tax_category, line.tax_rate_ppm)] -= line.micros
        elif line.counterparty_id is not None:
            key = InvoiceKey(line.party_id, line.counterparty_id, line.tax_category, line.tax_rate_ppm)
            gross[key] += line.micros
    return dict(gross)


def figures_of(gross_micros: int, tax_rate_ppm: int, currency: str) -> InvoiceFigures:
    """A tax-inclusive amount in minor units: gross and net rounded, halves away from zero; tax is the difference."""
    gross = round_to_minor(gross_micros, currency)
    whole = PPM + tax_rate_ppm
    net = (2 * abs(gross) * PPM + whole) // (2 * whole)
    net = -net if gross < 0 else net
    return InvoiceFigures(gross, net, gross - net)


@dataclass(frozen=True, slots=True)
class Change:
    """What a run does to a row: reverse what stands, or state new figures, or both."""

    key: InvoiceKey
    reverses: InvoiceFigures | None
    states: InvoiceFigures | None


def changes(
    gross_micros: Mapping[InvoiceKey, int], standing: Mapping[InvoiceKey, InvoiceFigures], currency: str
) -> list[Change]:
    """What turns the rows that stand into those of the new cumulative figures, in the order of the keys."""
    found = []
    for key in sorted({*gross_micros, *standing}):
        now = figures_of(gross_micros.get(key, 0), key.tax_rate_ppm, currency)
        before = standing.get(key)
        states = now if now.gross_minor else None
        if states != before:
            found.append(Change(key, before, states))
    return found
