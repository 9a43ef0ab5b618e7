"""What a gate's closure fixes: the obligations, hashed, and the reference price with the step that gave it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

import rfc8785

REFERENCE_LOTS_MIN = 1  # fewer traded lots do not make a price


class ReferenceStep(StrEnum):
    """Where a reference price comes from, in order of preference."""

    TRADES = "trades"  # of the contract itself
    WIDER_WINDOW = "wider_window"  # of the next longer contract of the product around it
    LAST_SETTLED = "last_settled"  # reference price of the product's contract that settled last
    LISTING = "listing"


@dataclass(frozen=True, slots=True)
class Traded:
    """Trades of a contract between unrelated parties: lots, and the sum of price times lots."""

    lots: int
    ticks: int


@dataclass(frozen=True, slots=True)
class ReferencePrice:
    """Micros per million contract tokens, rounded down."""

    micros: int
    step: ReferenceStep


@dataclass(frozen=True, slots=True)
class Obligation:
    """One position as frozen at the gate: tokens due from provider to buyer and what they cost. Amounts in micros."""

    buyer: str
    provider: str
    tokens: int
    notional: int
    bond: int
    overage_tokens: int
    overage_hold: int


def choose_reference(
    own: Traded, wider: Sequence[Traded], *, tick_micros: int, last_settled_micros: int | None, listing_ticks: int
) -> ReferencePrice:
    """The volume-weighted price of the first of `own` and `wider` (narrowest first) that traded enough, else the
    last settled, else the listing price."""
    steps = [(own, ReferenceStep.TRADES), *((traded, ReferenceStep.WIDER_WINDOW) for traded in wider)]
    for traded, step in steps:
        if traded.lots >= REFERENCE_LOTS_MIN:
            return ReferencePrice(traded.ticks * tick_micros // traded.lots, step)
    if last_settled_micros is not None:
        return ReferencePrice(last_settled_micros, ReferenceStep.LAST_SETTLED)
    return ReferencePrice(listing_ticks * tick_micros, ReferenceStep.LISTING)


def obligations_hash(symbol: str, obligations: Sequence[Obligation], reference: ReferencePrice) -> bytes:
    """SHA-256 of the RFC 8785 form of everything that is final from the gate on; integers as strings."""
    record = {
        "contract": symbol,
        "reference_price_micros": str(reference.micros),
        "reference_step": reference.step.value,
        "obligations": [
            {name: str(value) for name, value in asdict(obligation).items()}
            for obligation in sorted(obligations, key=lambda each: (each.buyer, each.provider))
        ],
    }
    return hashlib.sha256(rfc8785.dumps(record)).digest()
