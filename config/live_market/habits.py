"""What a bot feels like doing next. Pure; chance is handed in."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from config.catalogue import ListedModel

PERMILLE = 1_000
CANCEL_PERMILLE, PATIENT_PERMILLE, FAIR_PERMILLE = 150, 350, 300  # the rest takes at once
OFFER_SPREAD_PERMILLE = 40
MAX_LOTS = 5
APPETITE_PERMILLE = (600, 1_200)  # of what was bought
REFUSED_PERMILLE = 20
OUTPUT_SHARE_PERMILLE, CACHED_SHARE_PERMILLE = 150, 200


@dataclass(frozen=True, slots=True)
class Choice:
    """An order to place."""

    price_ticks: int
    lots: int
    time_in_force: str


@dataclass(frozen=True, slots=True)
class Used:
    """A request's tokens; `cached_tokens` are part of `input_tokens`."""

    input_tokens: int
    cached_tokens: int
    output_tokens: int
    refused: bool


def choose(model: ListedModel, random: Random) -> Choice | None:
    """An order around the list price: patient below the offers, fair among them, or at once; None: cancel one."""
    dice = random.randrange(PERMILLE)
    lots = random.randint(1, MAX_LOTS)

    def price(low: int, high: int) -> int:
        return model.list_price_ticks * random.randint(low, high) // PERMILLE

    if dice < CANCEL_PERMILLE:
        return None
    if dice < CANCEL_PERMILLE + PATIENT_PERMILLE:
        return Choice(price(780, 870), lots, "gtc")
    if dice < CANCEL_PERMILLE + PATIENT_PERMILLE + FAIR_PERMILLE:
        return Choice(price(880, 960), lots, "gtc")
    return Choice(price(1_000, 1_100), lots, "ioc")


def offer_price(model: ListedModel, price_permille: int, random: Random) -> int:
    """A provider's price in ticks, a little around its usual level."""
    around = price_permille + random.randint(-OFFER_SPREAD_PERMILLE, OFFER_SPREAD_PERMILLE) // 2
    return model.list_price_ticks * around // PERMILLE


def usage_of_step(model: ListedModel, tokens: int, part_of_window: float, random: Random) -> Used | None:
    """The usage of a position of so many contract tokens in a part of its window, as one request; None if nothing."""
    wanted = int(tokens * part_of_window * random.randint(*APPETITE_PERMILLE)) // PERMILLE
    output = wanted * OUTPUT_SHARE_PERMILLE // model.output_weight
    input_tokens = wanted * (PERMILLE - OUTPUT_SHARE_PERMILLE) // PERMILLE
    if input_tokens <= 0:
        return None
    cached = input_tokens * random.randint(0, CACHED_SHARE_PERMILLE) // PERMILLE
    return Used(input_tokens, cached, output, refused=random.randrange(PERMILLE) < REFUSED_PERMILLE)
