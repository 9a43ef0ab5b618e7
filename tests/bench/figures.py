"""What a benchmark measured, and the little statistics that it takes. Pure.

A figure is measured in rounds, each beside its baseline, since a machine drifts: the ratio is the median of the
rounds' ratios, not the ratio of the medians.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

TIMES = "times"


@dataclass(frozen=True, slots=True)
class Figure:
    """A named result: the median of `values`, one a round, beside that of `baselines`.

    `beside` says what the baseline is.
    """

    name: str
    value: float
    unit: str
    baseline: float
    ratio: float
    values: tuple[float, ...]
    baselines: tuple[float, ...]
    beside: str

    def to_json(self) -> dict[str, Any]:
        """Its entry in `bench.json`."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "baseline": self.baseline,
            "ratio": self.ratio,
            "beside": self.beside,
            "values": list(self.values),
            "baselines": list(self.baselines),
        }


def measured(name: str, unit: str, values: Sequence[float], baselines: Sequence[float], beside: str) -> Figure:
    """A figure from its rounds. Raises ValueError when a round lacks its baseline."""
    ratio = median(_ratios(values, baselines))
    return Figure(name, median(values), unit, median(baselines), ratio, tuple(values), tuple(baselines), beside)


def compared(name: str, values: Sequence[float], baselines: Sequence[float], beside: str) -> Figure:
    """The same, with how many times the baseline it is as its value."""
    ratios = _ratios(values, baselines)
    return Figure(name, median(ratios), TIMES, median(baselines), median(ratios), ratios, tuple(baselines), beside)


def percentile(samples: Sequence[float], percent: int) -> float:
    """The smallest sample that so many percent of all are not above (nearest rank). Raises ValueError without any."""
    if not samples or not 0 < percent <= 100:
        raise ValueError("a percentile needs samples, and a percentage from 1 to 100")
    return sorted(samples)[math.ceil(len(samples) * percent / 100) - 1]


def _ratios(values: Sequence[float], baselines: Sequence[float]) -> tuple[float, ...]:
    if not values:
        raise ValueError("nothing was measured")
    return tuple(value / baseline for value, baseline in zip(values, baselines, strict=True))
