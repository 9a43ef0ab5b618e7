"""How buyers go about getting their lots: a patient bid, a fair one, and at last whatever it costs. Pure and seeded."""

from __future__ import annotations

from dataclasses import dataclass

from config.catalogue import ListedModel
from config.demo.chance import stream
from config.demo.forecast import Want

PERMILLE = 1_000
PATIENT_PERMILLE = (800, 870)  # of the list price; below every offer
FAIR_PERMILLE = (890, 1_000)
LAST_PERMILLE = 1_100


@dataclass(frozen=True, slots=True)
class Bid:
    """A limit for some lots."""

    price_ticks: int
    lots: int


@dataclass(frozen=True, slots=True)
class Haggling:
    """A buyer's tries for one want, in order; a bid may be missing where there are too few lots to spread.

    What is still missing after them is bought at `last_price_ticks` or better, before the gate closes.
    """

    patient: Bid | None
    fair: Bid | None
    last_price_ticks: int


def plan_haggling(want: Want, model: ListedModel, *, seed: int) -> Haggling:
    """A fifth of the lots patiently, half at a fair price."""
    random = stream(seed, f"haggling/{want.buyer}/{want.window.start.isoformat()}")

    def bid(lots: int, permille: tuple[int, int]) -> Bid | None:
        price = model.list_price_ticks * random.randint(*permille) // PERMILLE
        return Bid(price, lots) if lots else None

    return Haggling(
        patient=bid(want.lots // 5, PATIENT_PERMILLE),
        fair=bid((want.lots + 1) // 2, FAIR_PERMILLE),
        last_price_ticks=model.list_price_ticks * LAST_PERMILLE // PERMILLE,
    )
