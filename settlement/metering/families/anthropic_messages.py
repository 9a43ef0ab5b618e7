"""Anthropic Messages: cache counts stand beside `input_tokens`, not inside it; there is no total to check against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from settlement.metering.buckets import Extraction, QuarantineReason, TokenBuckets
from settlement.metering.families.counts import Unusable, optional, required, rest, section


def extract(usage: Mapping[str, Any]) -> Extraction:
    short, long = _cache_writes(usage)
    output = required(usage, "output_tokens")
    thinking = optional(section(usage, "output_tokens_details"), "thinking_tokens")
    return Extraction(
        TokenBuckets(
            input_uncached=required(usage, "input_tokens"),
            input_cache_read=optional(usage, "cache_read_input_tokens"),
            input_cache_write_short=short,
            input_cache_write_long=long,
            output_visible=rest(output, thinking, of="output_tokens"),
            output_reasoning=thinking,
        )
    )


def _cache_writes(usage: Mapping[str, Any]) -> tuple[int, int]:
    """Tokens written to the five-minute and the one-hour cache. Without a breakdown all are five-minute ones."""
    written = optional(usage, "cache_creation_input_tokens")
    breakdown = section(usage, "cache_creation")
    if not breakdown:
        return written, 0
    short = optional(breakdown, "ephemeral_5m_input_tokens")
    long = optional(breakdown, "ephemeral_1h_input_tokens")
    if usage.get("cache_creation_input_tokens") is not None and short + long != written:
        raise Unusable(
            QuarantineReason.TOTAL_MISMATCH,
            f"cache_creation sums to {short + long}, cache_creation_input_tokens is {written}.",
        )
    return short, long
