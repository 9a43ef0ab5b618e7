"""What buyers think they will need, and what providers put up for it. Pure and seeded.

Nobody knows the day ahead: a buyer expects its usual part of a window's usage, give or take. The same parts, with
another give and take, decide who really asks (`config.demo.assignment`); so some buy too much and some too little.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from config.catalogue import BuyerFacts, ListedModel, ProviderFacts
from config.demo.chance import stream
from config.demo.trace import Request
from exchange.windows import Window, window_at
from ledger.money import div_ceil

WINDOW_SECONDS = 600
MILLI = 1_000
PERMILLE = 1_000
FORECAST_ERROR_PERMILLE = 200
SUPPLY_PERMILLE = 1_500  # of what is wanted at most in a window


@dataclass(frozen=True, slots=True)
class Want:
    """Lots that a buyer means to buy of a product in a window."""

    window: Window
    buyer: str
    product: str
    lots: int


@dataclass(frozen=True, slots=True)
class Supply:
    """Lots that a provider offers of a product in each window, at a price in ticks."""

    provider: str
    product: str
    lots: int
    price_ticks: int


def by_window(requests: Iterable[Request]) -> dict[Window, list[Request]]:
    """Requests by the delivery window they fall into, every window from the first to the last, in order."""
    found: dict[Window, list[Request]] = defaultdict(list)
    for request in requests:
        found[window_at(request.at, WINDOW_SECONDS)].append(request)
    window, last = min(found), max(found)
    while window < last:
        found.setdefault(window, [])
        window = Window(window.end, window.end + timedelta(seconds=WINDOW_SECONDS))
    return dict(sorted(found.items()))


def forecast(
    windows: Mapping[Window, Sequence[Request]],
    buyers: Sequence[BuyerFacts],
    models: Mapping[str, ListedModel],
    *,
    lot_tokens: int,
    seed: int,
) -> list[Want]:
    """The lots each buyer wants in each window; at least one lot in a window with requests."""
    random = stream(seed, "forecast")
    shares = sum(buyer.share for buyer in buyers)
    wants = []
    for window, requests in windows.items():
        expected: dict[str, int] = {}  # milli-contract-tokens
        for buyer in buyers:
            model = models[buyer.product]
            whole = sum(model.weigh(each.input_tokens, each.cached_tokens, each.output_tokens) for each in requests)
            error = random.randint(-FORECAST_ERROR_PERMILLE, FORECAST_ERROR_PERMILLE)
            expected[buyer.code] = whole * buyer.share * (PERMILLE + error) // (shares * PERMILLE)
        lot = lot_tokens * MILLI
        lots = {code: (tokens + lot // 2) // lot for code, tokens in expected.items()}
        if requests and not any(lots.values()):
            lots[max(expected, key=lambda code: expected[code])] = 1
        wants += [Want(window, buyer.code, buyer.product, lots[buyer.code]) for buyer in buyers if lots[buyer.code]]
    return wants


def plan_supply(
    wants: Iterable[Want], providers: Sequence[ProviderFacts], models: Mapping[str, ListedModel]
) -> list[Supply]:
    """Enough lots for the busiest window and half as much again, spread over the providers of each product."""
    wanted: dict[tuple[str, Window], int] = defaultdict(int)
    for want in wants:
        wanted[want.product, want.window] += want.lots
    peak: dict[str, int] = defaultdict(int)
    for (product, _), lots in wanted.items():
        peak[product] = max(peak[product], lots)
    supplies = []
    for product, lots in sorted(peak.items()):
        sellers = [provider for provider in providers if product in provider.weights]
        weights = sum(provider.weights[product] for provider in sellers)
        for provider in sellers:
            part = div_ceil(lots * SUPPLY_PERMILLE * provider.weights[product], weights * PERMILLE)
            price = models[product].list_price_ticks * provider.price_permille // PERMILLE
            supplies.append(Supply(provider.code, product, part, price))
    return supplies
