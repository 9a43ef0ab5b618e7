"""Our own generic counts, for meters without a provider's object: `input` (all of it), `cached` (the part of input
read from a cache), `output`, and optionally `total` = input + output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from settlement.metering.buckets import Extraction, QuarantineReason, TokenBuckets
from settlement.metering.families.counts import Unusable, checked_against_total, optional, required, rest

MEMBERS = frozenset({"input", "cached", "output", "total"})


def extract(usage: Mapping[str, Any]) -> Extraction:
    unknown = sorted(str(name) for name in usage.keys() - MEMBERS)
    if unknown:
        # A misspelt member would silently count as 0.
        raise Unusable(QuarantineReason.MALFORMED, f"Unknown members: {', '.join(unknown)[:200]}.")
    whole, cached, output = (required(usage, "input"), optional(usage, "cached"), required(usage, "output"))
    buckets = TokenBuckets(
        input_uncached=rest(whole, cached, of="input"), input_cache_read=cached, output_visible=output
    )
    total = whole + output if usage.get("total") is None else optional(usage, "total")
    return checked_against_total(buckets, total)
