"""A trace of the same shape as a public hour of chat usage, made from a seed with whole numbers only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

from config.demo.chance import stream
from config.demo.trace import AZURE_LOT_TOKENS, Request, Trace

START = datetime(2026, 12, 1, 10, 3, tzinfo=UTC)
MINUTES = 58
REQUESTS_PER_MINUTE = 334
MICROSECONDS_PER_MINUTE = 60_000_000

# (permille of requests, tokens): the quantiles of the Azure conversation trace of 2023, CC BY 4.0, rounded.
INPUT_QUANTILES = (
    (0, 2),
    (100, 207),
    (250, 396),
    (500, 1_020),
    (750, 1_189),
    (900, 2_735),
    (990, 4_142),
    (1_000, 9_000),
)
OUTPUT_QUANTILES = ((0, 7), (100, 54), (250, 85), (500, 129), (750, 395), (900, 424), (990, 601), (1_000, 1_000))


def generate_trace(seed: int, *, scale_percent: int = 100) -> Trace:
    """An hour of requests, or `scale_percent` of one, at the same rate."""
    minutes = max(1, MINUTES * scale_percent // 100)
    return Trace(f"generated-{scale_percent}", AZURE_LOT_TOKENS, tuple(_requests(stream(seed, "trace"), minutes)))


def _requests(random: Random, minutes: int) -> Iterator[Request]:
    number = 0
    level = 1_000  # permille of the mean rate; it wanders
    for minute in range(minutes):
        level = min(1_300, max(700, level + random.randint(-80, 80)))
        count = REQUESTS_PER_MINUTE * level // 1_000
        for offset in sorted(random.randrange(MICROSECONDS_PER_MINUTE) for _ in range(count)):
            number += 1
            yield Request(
                number=number,
                at=START + timedelta(minutes=minute, microseconds=offset),
                input_tokens=_draw(random, INPUT_QUANTILES),
                cached_tokens=0,
                output_tokens=_draw(random, OUTPUT_QUANTILES),
            )


def _draw(random: Random, quantiles: tuple[tuple[int, int], ...]) -> int:
    """A count distributed as the quantiles say, evenly between two of them."""
    permille = random.randrange(1_000)
    for (_, low_tokens), (high, high_tokens) in pairwise(quantiles):
        if permille < high:
            return random.randint(low_tokens, high_tokens)
    raise AssertionError("the quantiles end at 1000 permille")
