"""DeepSeek: OpenAI's chat form, and beside it the same input again, split into cache hits and misses."""

from __future__ import annotations

from settlement.metering.buckets import Extraction
from settlement.metering.families.balance import lost
from settlement.metering.families.counts import Usage, contradiction, count
from settlement.metering.families.inclusive import read
from settlement.metering.families.openai_chat import FORM

VERSION = 1
_HIT, _MISS = "prompt_cache_hit_tokens", "prompt_cache_miss_tokens"


def extract(usage: Usage) -> Extraction:
    hit, miss, prompt = count(usage, _HIT), count(usage, _MISS), count(usage, FORM.input)
    extraction = read(usage, FORM, cached=hit)
    if hit is None or miss is None:
        if extraction.reason is not None:
            return extraction
        missing = [name for name, stated in ((_HIT, hit), (_MISS, miss)) if stated is None]
        return lost(extraction.buckets, missing, modalities=extraction.modalities)
    if prompt is not None and hit + miss != prompt:
        raise contradiction(FORM.input, prompt, "the sum of cache hits and misses", hit + miss)
    return extraction
