from __future__ import annotations

import random

import pytest

from settlement.metering.bias import Bias, compare, no_bias
from settlement.metering.buckets import SETTLED_BUCKETS, Bucket
from settlement.rules import TOLERANCE
from tests.unit.settlement.usage_said import WEIGHTS, tokens

WEIGHT_OF = tuple(WEIGHTS.of(bucket) for bucket in SETTLED_BUCKETS)
SEED = 20261201


def registered(*pairs: tuple[tuple[int, ...], tuple[int, ...]]) -> Bias:
    register = no_bias()
    for provider, buyer in pairs:
        compare(register, provider, buyer, TOLERANCE.allowed(provider), WEIGHT_OF)
    return register


def shaved(requests: int, *, output: int, permille: int, prompt: int) -> Bias:
    """A provider that adds so many tokens for each thousand of output, whole ones, as they fall due."""
    pairs, owed = [], 0
    for _ in range(requests):
        owed += output * permille
        extra, owed = divmod(owed, 1000)
        pairs.append(
            (
                tokens(input_uncached=prompt, output_visible=output + extra),
                tokens(input_uncached=prompt, output_visible=output),
            )
        )
    return registered(*pairs)


def test_shaving_of_three_permille_leans_however_long_the_prompts_are() -> None:
    assert shaved(400, output=400, permille=3, prompt=200).leaning == (Bucket.OUTPUT_VISIBLE,)
    assert shaved(400, output=400, permille=3, prompt=100_000).leaning == (Bucket.OUTPUT_VISIBLE,)


def test_a_handful_of_requests_is_no_verdict() -> None:
    assert shaved(29, output=400, permille=3, prompt=200).leaning == ()
    assert shaved(30, output=400, permille=3, prompt=200).leaning == (Bucket.OUTPUT_VISIBLE,)


@pytest.mark.parametrize("requests", [30, 300, 3_000])
def test_honest_counters_that_differ_at_the_edge_do_not_lean(requests: int) -> None:
    chance = random.Random(f"{SEED}/{requests}")
    pairs = []
    for _ in range(requests):
        output = chance.randint(100, 900)
        pairs.append((tokens(output_visible=output), tokens(output_visible=output + chance.choice([-1, 0, 1]))))
    assert registered(*pairs).leaning == (), f"seed {SEED}"


def test_leaning_to_the_buyers_side_is_leaning_too() -> None:
    pairs = [(tokens(output_visible=400), tokens(output_visible=402))] * 30
    assert registered(*pairs).leaning == (Bucket.OUTPUT_VISIBLE,)


def test_the_bound_is_a_fourth_of_the_tolerance_and_the_bound_itself_is_allowed() -> None:
    within = [(tokens(output_visible=800), tokens(output_visible=799))] * 30  # 30 of 120
    assert registered(*within).leaning == ()
    one_more = [*within[1:], (tokens(output_visible=800), tokens(output_visible=798))]
    assert registered(*one_more).leaning == (Bucket.OUTPUT_VISIBLE,)
