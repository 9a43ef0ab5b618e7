"""Gemini's `usageMetadata`: the prompt includes cached content; tool results and thoughts stand beside.

The total is prompt + tool results + candidates + thoughts. Being a protocol buffer, the object leaves out what is 0.
An embedding has neither candidates nor a total; its prompt is held against the modalities it consists of.
"""

from __future__ import annotations

from ledger.money import MAX_JSON_INTEGER
from settlement.metering.buckets import Extraction, QuarantineReason, TokenBuckets
from settlement.metering.families.balance import balanced, lost
from settlement.metering.families.counts import Unusable, Usage, count, exceeds

VERSION = 1
_MODALITIES = {name.upper(): name for name in ("text", "image", "audio", "video", "document")}


def extract(usage: Usage) -> Extraction:
    prompt, total = count(usage, "promptTokenCount"), count(usage, "totalTokenCount")
    cached = count(usage, "cachedContentTokenCount") or 0
    tool = count(usage, "toolUsePromptTokenCount") or 0
    visible = count(usage, "candidatesTokenCount") or 0
    thoughts = count(usage, "thoughtsTokenCount") or 0
    if prompt is not None and cached > prompt:
        raise exceeds("promptTokenCount", cached - prompt)
    modalities = _modalities(usage, prompt, cached, tool, visible)
    fresh = 0 if prompt is None else prompt - cached
    buckets = TokenBuckets(fresh, cached, 0, 0, tool, visible, thoughts)
    if prompt is not None and total is not None:
        if prompt + tool + visible + thoughts == total:
            return Extraction(buckets, None, "", modalities)
        return balanced(buckets, total, modalities)
    embedded = _by_modality(usage, "promptTokenDetails", prompt)
    if total is None and embedded and sum(embedded.values()) == prompt == fresh and not tool + visible + thoughts:
        return Extraction(buckets, None, "", {"input": embedded})
    missing = [name for name, n in (("promptTokenCount", prompt), ("totalTokenCount", total)) if n is None]
    return lost(buckets, missing, total=total, modalities=modalities)


def _modalities(usage: Usage, prompt: int | None, cached: int, tool: int, visible: int) -> dict[str, dict[str, int]]:
    found = {}
    if "promptTokensDetails" in usage:
        found["input"] = _by_modality(usage, "promptTokensDetails", prompt)
    if "cacheTokensDetails" in usage:
        found["input_cache_read"] = _by_modality(usage, "cacheTokensDetails", cached)
    if "toolUsePromptTokensDetails" in usage:
        found["input_tool"] = _by_modality(usage, "toolUsePromptTokensDetails", tool)
    if "candidatesTokensDetails" in usage:
        found["output"] = _by_modality(usage, "candidatesTokensDetails", visible)
    return found


def _by_modality(usage: Usage, name: str, whole: int | None) -> dict[str, int]:
    """Tokens by modality. They may come to less than the whole, as they do for tool calls, but not to more."""
    found: dict[str, int] = {}
    details = usage.get(name)
    if details is None:
        return found
    if type(details) is not list:
        raise Unusable(QuarantineReason.MALFORMED, f"{name} is not a list.")
    stated = 0
    for entry in details:
        if type(entry) is not dict:
            raise Unusable(QuarantineReason.MALFORMED, f"{name} is not a list of objects.")
        tokens = count(entry, "tokenCount") or 0
        modality = entry.get("modality")
        kind = _MODALITIES.get(modality, "unknown") if type(modality) is str else "unknown"
        found[kind] = found.get(kind, 0) + tokens
        stated += tokens
    limit = MAX_JSON_INTEGER if whole is None else whole
    if stated > limit:
        raise exceeds(f"the whole that {name} details", stated - limit)
    return found
