from __future__ import annotations

from typing import Any

import pytest

from settlement.errors import InvalidTokenWeights
from settlement.metering.buckets import TokenBuckets
from settlement.metering.weights import parse_weights, plain_weights, weigh, weigh_refusal

WEIGHTS = plain_weights(input_milli=1000, cache_read_milli=100, output_milli=4000)


def test_tokens_weigh_by_their_bucket() -> None:
    buckets = TokenBuckets(
        input_uncached=10,
        input_cache_read=20,
        input_cache_write_short=1,
        input_cache_write_long=1,
        input_tool=1,
        output_visible=5,
        output_reasoning=2,
    )
    assert weigh(buckets, WEIGHTS) == 10_000 + 2_000 + 3_000 + 28_000


def test_unexplained_tokens_weigh_nothing() -> None:
    assert weigh(TokenBuckets(unexplained=1_000), WEIGHTS) == 0


def test_a_refusal_weighs_its_input_and_the_assumed_output_only() -> None:
    refused = TokenBuckets(input_uncached=10, input_cache_read=20, output_visible=999)
    assert weigh_refusal(refused, WEIGHTS, refused_output_tokens=50) == 10_000 + 2_000 + 200_000


def test_weights_survive_being_written_as_terms() -> None:
    assert parse_weights(WEIGHTS.as_dict()) == WEIGHTS
    assert parse_weights({name: str(weight) for name, weight in WEIGHTS.as_dict().items()}) == WEIGHTS


@pytest.mark.parametrize("change", [{"input_tool": -1}, {"input_tool": 1.5}, {"input_tool": 1_000_001}, {"tea": 1}])
def test_weights_that_make_no_sense_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidTokenWeights):
        parse_weights(WEIGHTS.as_dict() | change)
    with pytest.raises(InvalidTokenWeights):
        parse_weights({})
