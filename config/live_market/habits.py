"""What a bot feels like doing next. Pure; chance is handed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from random import Random

from config.catalogue import ListedModel
from exchange.matching.types import OrderType, PostOnly, TimeInForce

PERMILLE = 1_000
OFFER_SPREAD_PERMILLE = 35  # up or down
MAX_LOTS = 5
APPETITE_PERMILLE = (600, 1_200)  # of what was bought
REFUSED_PERMILLE = 20
OUTPUT_SHARE_PERMILLE, CACHED_SHARE_PERMILLE = 150, 200

PATIENT_PERMILLE, FAIR_PERMILLE, EAGER_PERMILLE = (780, 870), (880, 960), (1_000, 1_100)  # of the list price
KEEP_SECONDS = (60, 600)


class Deed(StrEnum):
    """What a buyer does in a step; the values are what the log calls it."""

    CANCEL = "cancel"
    AMEND = "amendment"
    WAIT = "bid below the offers"
    BID = "bid among the offers"
    QUOTE = "post-only bid"
    BID_UNTIL = "bid until a time"
    TAKE = "immediate-or-cancel order"
    ALL_OR_NOTHING = "fill-or-kill order"
    SPEND = "market order by budget"


class Change(StrEnum):
    """What a provider does with an offer; the values are what the log calls it."""

    REPRICE = "offer repriced"
    PAUSE = "offer paused"
    RESUME = "offer resumed"


DEEDS_PERMILLE = {
    Deed.CANCEL: 120,
    Deed.AMEND: 120,
    Deed.WAIT: 150,
    Deed.BID: 190,
    Deed.QUOTE: 110,
    Deed.BID_UNTIL: 100,
    Deed.TAKE: 120,
    Deed.ALL_OR_NOTHING: 40,
    Deed.SPEND: 50,
}
CHANGES_PERMILLE = {Change.REPRICE: 20, Change.PAUSE: 4}
RESUME_PERMILLE = 150


@dataclass(frozen=True, slots=True)
class Wish:
    """An order to place. `by_budget`: `lots` at this price is what may be spent; `keep`: for how long it stands."""

    price_ticks: int
    lots: int
    order_type: OrderType = OrderType.LIMIT
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: PostOnly = PostOnly.NO
    by_budget: bool = False
    keep: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Used:
    """A request's tokens; `cached_tokens` are part of `input_tokens`."""

    input_tokens: int
    cached_tokens: int
    output_tokens: int
    refused: bool


def choose_deed(random: Random) -> Deed:
    """What a buyer does next."""
    dice = random.randrange(PERMILLE)
    for deed, permille in DEEDS_PERMILLE.items():
        if dice < permille:
            return deed
        dice -= permille
    raise AssertionError("the permille of all deeds are less than 1,000")


def choose_order(deed: Deed, model: ListedModel, random: Random) -> Wish:
    """An order of the kind that a deed is, around the list price."""
    lots = random.randint(1, MAX_LOTS)
    match deed:
        case Deed.WAIT:
            return Wish(_price(model, PATIENT_PERMILLE, random), lots)
        case Deed.QUOTE:
            return Wish(_price(model, FAIR_PERMILLE, random), lots, post_only=PostOnly.REPRICE)
        case Deed.BID_UNTIL:
            keep = timedelta(seconds=random.randint(*KEEP_SECONDS))
            return Wish(_price(model, FAIR_PERMILLE, random), lots, time_in_force=TimeInForce.GTD, keep=keep)
        case Deed.TAKE:
            return Wish(_price(model, EAGER_PERMILLE, random), lots, time_in_force=TimeInForce.IOC)
        case Deed.ALL_OR_NOTHING:
            return Wish(_price(model, EAGER_PERMILLE, random), lots, time_in_force=TimeInForce.FOK)
        case Deed.SPEND:
            price = _price(model, EAGER_PERMILLE, random)
            return Wish(price, lots, OrderType.MARKET, TimeInForce.IOC, by_budget=True)
        case _:
            return Wish(_price(model, FAIR_PERMILLE, random), lots)


def choose_amendment(model: ListedModel, lots: int, filled_lots: int, random: Random) -> dict[str, int]:
    """A lot less, which keeps the order's place, or another `price_ticks`, which loses it."""
    if lots - 1 > filled_lots and random.randrange(2):
        return {"lots": lots - 1}
    return {"price_ticks": _price(model, FAIR_PERMILLE, random)}


def choose_change(paused: bool, random: Random) -> Change | None:
    """What a provider does with an offer of its own; mostly nothing."""
    dice = random.randrange(PERMILLE)
    if paused:
        return Change.RESUME if dice < RESUME_PERMILLE else None
    for change, permille in CHANGES_PERMILLE.items():
        if dice < permille:
            return change
        dice -= permille
    return None


def offer_price(model: ListedModel, price_permille: int, random: Random) -> int:
    """A provider's price in ticks, a little around its usual level."""
    around = price_permille + random.randint(-OFFER_SPREAD_PERMILLE, OFFER_SPREAD_PERMILLE)
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


def _price(model: ListedModel, permille: tuple[int, int], random: Random) -> int:
    return model.list_price_ticks * random.randint(*permille) // PERMILLE
