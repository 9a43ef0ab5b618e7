"""Who asked for what: requests of a trace, which names nobody, spread over the positions of their window. Pure.

The rule is seeded. In each window a buyer's part of the requests is its usual share, give or take; between the
providers it bought from, it asks by what it bought. 2 % of the requests are refused for lack of capacity.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from config.catalogue import BuyerFacts
from config.demo.chance import stream
from config.demo.trace import Request
from exchange.windows import Window
from ledger.errors import Category, DomainError

PERMILLE = 1_000
DEMAND_ERROR_PERMILLE = 150
REFUSED_PERMILLE = 20


class NobodyBought(DomainError):
    """Requests fall into a window in which nobody holds a position."""

    code = "nobody_bought"
    category = Category.CONFLICT


@dataclass(frozen=True, slots=True)
class Holding:
    """A position as its buyer sees it after the gate: contract tokens bought of one provider in one window."""

    symbol: str
    window: Window
    buyer: str
    provider: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Use:
    """A request with the position it draws on, and whether the provider refused it."""

    request: Request
    holding: Holding
    refused: bool


def assign(
    windows: Mapping[Window, Sequence[Request]],
    holdings: Iterable[Holding],
    buyers: Sequence[BuyerFacts],
    *,
    seed: int,
) -> Iterator[Use]:
    """Every request with a position of its window, in the order of the windows. Raises `NobodyBought`."""
    random = stream(seed, "assignment")
    held: dict[Window, list[Holding]] = defaultdict(list)
    for holding in sorted(holdings, key=lambda each: (each.symbol, each.buyer, each.provider)):
        held[holding.window].append(holding)
    for window, requests in windows.items():
        demand = {
            buyer.code: buyer.share * (PERMILLE + random.randint(-DEMAND_ERROR_PERMILLE, DEMAND_ERROR_PERMILLE))
            for buyer in buyers
        }
        candidates = held[window]
        if requests and not candidates:
            raise NobodyBought(f"Nobody holds a position in {window.start:%Y-%m-%d %H:%M}.", requests=len(requests))
        bought: dict[str, int] = defaultdict(int)
        for holding in candidates:
            bought[holding.buyer] += holding.tokens
        weights = [demand[holding.buyer] * holding.tokens // bought[holding.buyer] for holding in candidates]
        cumulative = list(accumulate(weights))
        for request in requests:
            (holding,) = random.choices(candidates, cum_weights=cumulative)
            yield Use(request, holding, refused=random.randrange(PERMILLE) < REFUSED_PERMILLE)
