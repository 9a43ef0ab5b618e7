"""A product's token weights: raw tokens of each bucket become integer milli-contract-tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.errors import InvalidAmount
from ledger.money import parse_count
from settlement.errors import InvalidTokenWeights
from settlement.metering.buckets import SETTLED_BUCKETS, Bucket, TokenBuckets

MAX_WEIGHT = 1_000_000  # a thousand contract tokens for one token


@dataclass(frozen=True, slots=True)
class TokenWeights:
    """Milli-contract-tokens per token of each bucket; field names as in `TokenBuckets`. Unexplained tokens weigh 0."""

    input_uncached: int
    input_cache_read: int
    input_cache_write_short: int
    input_cache_write_long: int
    input_tool: int
    output_visible: int
    output_reasoning: int

    def of(self, bucket: Bucket) -> int:
        return int(getattr(self, bucket.value))

    def as_dict(self) -> dict[str, int]:
        """Weights by bucket name, as a product's terms write them."""
        return {bucket.value: self.of(bucket) for bucket in SETTLED_BUCKETS}


def parse_weights(terms: Mapping[str, Any]) -> TokenWeights:
    """Weights from a product's terms: exactly one whole number per bucket. Raises `InvalidTokenWeights`."""
    names = {bucket.value for bucket in SETTLED_BUCKETS}
    if set(terms) != names:
        raise InvalidTokenWeights(f"Token weights must name exactly: {', '.join(sorted(names))}.", field="weights")
    try:
        return TokenWeights(
            **{name: parse_count(terms[name], field=f"weights.{name}", maximum=MAX_WEIGHT) for name in names}
        )
    except InvalidAmount as invalid:
        raise InvalidTokenWeights(invalid.message, **invalid.fields) from invalid


def plain_weights(*, input_milli: int, cache_read_milli: int, output_milli: int) -> TokenWeights:
    """Weights of a product that only tells input, cache reads and output apart: cache writes and tool input are input,
    reasoning is output."""
    return TokenWeights(
        input_uncached=input_milli,
        input_cache_read=cache_read_milli,
        input_cache_write_short=input_milli,
        input_cache_write_long=input_milli,
        input_tool=input_milli,
        output_visible=output_milli,
        output_reasoning=output_milli,
    )


def weigh(buckets: TokenBuckets, weights: TokenWeights) -> int:
    """Milli-contract-tokens of a served request."""
    return _weigh_input(buckets, weights) + (
        buckets.output_visible * weights.output_visible + buckets.output_reasoning * weights.output_reasoning
    )


def weigh_refusal(buckets: TokenBuckets, weights: TokenWeights, *, refused_output_tokens: int) -> int:
    """Milli-contract-tokens of a refused request: its weighted input plus the product's assumed output.

    Output counts in `buckets` are ignored: nothing came out, and what the caller asked for at most says little.
    """
    return _weigh_input(buckets, weights) + refused_output_tokens * weights.output_visible


def _weigh_input(buckets: TokenBuckets, weights: TokenWeights) -> int:
    """Milli-contract-tokens of the input alone."""
    # Written out: every event is weighed, and a loop over names takes five times as long.
    return (
        buckets.input_uncached * weights.input_uncached
        + buckets.input_cache_read * weights.input_cache_read
        + buckets.input_cache_write_short * weights.input_cache_write_short
        + buckets.input_cache_write_long * weights.input_cache_write_long
        + buckets.input_tool * weights.input_tool
    )
