"""Adapters: one module per API family, each turning that family's usage object into disjoint buckets.

To add a family, write a module with `extract(usage) -> Extraction` and enter it in `FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from settlement.metering.buckets import Extraction, QuarantineReason, TokenBuckets
from settlement.metering.families import anthropic_messages, openai_chat, tokenbourse
from settlement.metering.families.counts import Unusable

FAMILIES: Mapping[str, Callable[[Mapping[str, Any]], Extraction]] = {
    "openai_chat": openai_chat.extract,
    "anthropic_messages": anthropic_messages.extract,
    "tokenbourse": tokenbourse.extract,
}


def extract(family: str, usage: object) -> Extraction:
    """Read a raw usage object. Never raises on bad content: what does not add up comes back with a reason."""
    adapter = FAMILIES.get(family)
    if adapter is None:
        return _aside(QuarantineReason.UNKNOWN_FAMILY, f"Known usage families are {', '.join(sorted(FAMILIES))}.")
    if not isinstance(usage, Mapping):
        return _aside(QuarantineReason.MALFORMED, "The usage is not an object.")
    try:
        return adapter(usage)
    except Unusable as unusable:
        return _aside(unusable.reason, unusable.detail)


def _aside(reason: QuarantineReason, detail: str) -> Extraction:
    return Extraction(TokenBuckets(), reason, detail)
