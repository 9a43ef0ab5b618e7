"""OpenAI Chat Completions and compatibles: details are counted inside the totals they detail."""

from __future__ import annotations

from settlement.metering.buckets import Extraction
from settlement.metering.families.counts import Usage, either
from settlement.metering.families.inclusive import Form, read

VERSION = 2
FORM = Form("prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details")


def extract(usage: Usage) -> Extraction:
    if "num_cached_tokens" in usage or "cached_tokens" in usage:
        # Where Mistral and Moonshot state their cache reads.
        return read(usage, FORM, cached=either(usage, "num_cached_tokens", "cached_tokens"))
    return read(usage, FORM)
