"""The names token counts go by, per family: what tells the families' objects apart.

A count under a name of another family is a mix-up: read as its own family defines it, it would be counted in the wrong
bucket or not at all. Names of no family at all are the provider's own business and are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping

_CHAT = ("prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details")

FIELDS: Mapping[str, frozenset[str]] = {
    "openai_chat": frozenset((*_CHAT, "num_cached_tokens", "cached_tokens")),
    "openai_responses": frozenset(
        ("input_tokens", "output_tokens", "total_tokens", "input_tokens_details", "output_tokens_details")
    ),
    "anthropic_messages": frozenset(
        (
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
            "cache_creation",
            "output_tokens_details",
            "iterations",
        )
    ),
    "gemini": frozenset(
        (
            "promptTokenCount",
            "cachedContentTokenCount",
            "toolUsePromptTokenCount",
            "candidatesTokenCount",
            "thoughtsTokenCount",
            "totalTokenCount",
            "promptTokensDetails",
            "promptTokenDetails",
            "cacheTokensDetails",
            "toolUsePromptTokensDetails",
            "candidatesTokensDetails",
        )
    ),
    "deepseek": frozenset((*_CHAT, "prompt_cache_hit_tokens", "prompt_cache_miss_tokens")),
    "bedrock_converse": frozenset(
        (
            "inputTokens",
            "outputTokens",
            "totalTokens",
            "cacheReadInputTokens",
            "cacheReadInputTokenCount",
            "cacheWriteInputTokens",
            "cacheWriteInputTokenCount",
            "cacheDetails",
        )
    ),
    "cohere": frozenset(("billed_units", "tokens", "cached_tokens")),
    "openrouter": frozenset(_CHAT),
    "otel": frozenset(
        (
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.reasoning.output_tokens",
        )
    ),
    "tokenbourse": frozenset(("input", "cached", "output", "total")),
}

# Names inside the details of a whole, in any family.
_INSIDE = frozenset(("cached_tokens", "cache_write_tokens", "reasoning_tokens", "thinking_tokens"))
# Too short to mean the same thing inside somebody else's object.
_EVERYWHERE = frozenset[str]().union(*FIELDS.values()) - FIELDS["tokenbourse"]


def foreign_to(family: str) -> frozenset[str]:
    """Names of token counts that other families have and this one has not."""
    return (_EVERYWHERE | _INSIDE) - FIELDS[family]


def foreign_inside(own: frozenset[str]) -> frozenset[str]:
    """Names of token counts that do not belong inside details that know `own`."""
    return (_EVERYWHERE | _INSIDE) - own


def families_of(name: str) -> list[str]:
    """The families that have a field of this name; none for a name from inside the details."""
    return sorted(family for family, fields in FIELDS.items() if name in fields)
