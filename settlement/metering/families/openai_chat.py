"""OpenAI Chat Completions and compatibles: details are counted inside the totals they detail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from settlement.metering.buckets import Extraction, TokenBuckets
from settlement.metering.families.counts import checked_against_total, optional, required, rest, section


def extract(usage: Mapping[str, Any]) -> Extraction:
    prompt, completion = (required(usage, "prompt_tokens"), required(usage, "completion_tokens"))
    input_details = section(usage, "prompt_tokens_details")
    output_details = section(usage, "completion_tokens_details")
    cache_read = optional(input_details, "cached_tokens")
    cache_write = optional(input_details, "cache_write_tokens")
    reasoning = optional(output_details, "reasoning_tokens")
    buckets = TokenBuckets(
        input_uncached=rest(prompt, cache_read, cache_write, of="prompt_tokens"),
        input_cache_read=cache_read,
        input_cache_write_short=cache_write,
        output_visible=rest(completion, reasoning, of="completion_tokens"),
        output_reasoning=reasoning,
    )
    return checked_against_total(buckets, required(usage, "total_tokens"))
