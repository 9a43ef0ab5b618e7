"""Bedrock Converse: cache counts stand beside `inputTokens`, but inside `totalTokens`.

Cache counts go by two names each. `cacheDetails` splits the writes by how long they are kept.
"""

from __future__ import annotations

from settlement.metering.buckets import Extraction, QuarantineReason, TokenBuckets
from settlement.metering.families.balance import balanced, lost
from settlement.metering.families.counts import Unusable, Usage, count, either, entries

VERSION = 1


def extract(usage: Usage) -> Extraction:
    fresh, output, total = count(usage, "inputTokens"), count(usage, "outputTokens"), count(usage, "totalTokens")
    cache_read = either(usage, "cacheReadInputTokens", "cacheReadInputTokenCount") or 0
    short, long = _cache_writes(usage)
    buckets = TokenBuckets(fresh or 0, cache_read, short, long, 0, output or 0)
    if fresh is None or output is None or total is None:
        stated = (("inputTokens", fresh), ("outputTokens", output), ("totalTokens", total))
        return lost(buckets, [name for name, n in stated if n is None], total=total)
    if fresh + cache_read + short + long + output == total:
        return Extraction(buckets)
    return balanced(buckets, total)


def _cache_writes(usage: Usage) -> tuple[int, int]:
    """Tokens written to the five-minute and the one-hour cache. Without a breakdown all are five-minute ones, as the
    longer life must be asked for."""
    written = either(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount") or 0
    if not usage.get("cacheDetails"):
        return written, 0
    by_life = {"5m": 0, "1h": 0}
    for entry in entries(usage, "cacheDetails"):
        life = entry.get("ttl")
        if life not in ("5m", "1h"):
            raise Unusable(QuarantineReason.MALFORMED, "cacheDetails.ttl is neither 5m nor 1h.")
        by_life[life] += count(entry, "inputTokens") or 0
    if sum(by_life.values()) != written:
        raise Unusable(
            QuarantineReason.TOTAL_MISMATCH,
            f"cacheDetails sums to {sum(by_life.values())}, cacheWriteInputTokens is {written}.",
        )
    return by_life["5m"], by_life["1h"]
