"""The default waterfall: in which order a party's uncovered debt is borne, and by whom. Pure.

The defaulter's own resources come first, then the operator's capital, then the mutual fund, then what the other
members contributed, and last the creditors themselves. The order is that of central counterparties (defaulter's
margin and contribution, own capital, mutual fund, assessments, loss allocation).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ledger.errors import InvalidAmount
from ledger.money import split_largest_remainder


class Layer(StrEnum):
    """Who bears a loss, in the order in which they are asked."""

    CASH = "defaulter_cash"  # free cash, with what its bonds left once they were freed
    CONTRIBUTION = "defaulter_contribution"  # what the defaulter itself paid in
    CAPITAL = "operator_capital"
    FUND = "mutual_fund"
    ASSESSMENT = "assessment"  # what the other members paid in, by its size
    HAIRCUT = "haircut"  # the creditors, by what they still claim


OWN_LAYERS = frozenset({Layer.CASH, Layer.CONTRIBUTION})  # of the defaulter
_ORDER = tuple(Layer)


@dataclass(frozen=True, slots=True)
class Resource:
    """What one owner can bear in a layer, in micros. `owner` tells resources of a layer apart: a qualifier, a code."""

    layer: Layer
    owner: str
    micros: int


@dataclass(frozen=True, slots=True)
class Step:
    """What one owner bears, in micros, more than 0."""

    layer: Layer
    owner: str
    micros: int


def walk(debt_micros: int, resources: Iterable[Resource]) -> tuple[Step, ...]:
    """Who bears a debt of at least 0: layer after layer until nothing is left of it, or of the resources.

    In an assessment all bear by the size of what they have (largest remainder), elsewhere one after another by name.
    The steps sum to the smaller of the debt and all resources. Raises `InvalidAmount` for a negative figure.
    """
    offered = list(resources)
    if debt_micros < 0 or any(resource.micros < 0 for resource in offered):
        raise InvalidAmount("A waterfall walks amounts of at least 0.", field="amount")
    left, steps = debt_micros, []
    for layer in _ORDER:
        inside = sorted((each for each in offered if each.layer is layer and each.micros), key=lambda each: each.owner)
        sizes = [each.micros for each in inside]
        taken = spread(left, sizes) if layer is Layer.ASSESSMENT else _in_turn(left, sizes)
        steps += [Step(layer, each.owner, micros) for each, micros in zip(inside, taken, strict=True) if micros]
        left -= sum(taken)
    return tuple(steps)


def spread(micros: int, sizes: Sequence[int]) -> list[int]:
    """An amount over sizes, by size (largest remainder, ties to the first), and never more than a size."""
    if micros >= sum(sizes):
        return list(sizes)
    if not micros:
        return [0] * len(sizes)
    parts = split_largest_remainder(micros, {f"{place:06d}": size for place, size in enumerate(sizes)})
    return list(parts.values())


def _in_turn(micros: int, sizes: Sequence[int]) -> list[int]:
    taken = []
    for size in sizes:
        taken.append(min(micros, size))
        micros -= taken[-1]
    return taken
