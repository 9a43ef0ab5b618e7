"""Random usage objects of every family, with the buckets they mean: written from the families' definitions, not from
the adapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from settlement.metering.buckets import TokenBuckets

Object = dict[str, Any]

counts = st.one_of(st.integers(0, 3), st.integers(0, 200_000), st.integers(0, 2**40))


@dataclass(frozen=True)
class Stated:
    """A usage object, what it means, where its total stands (None: it has none) and the total."""

    family: str
    usage: Object
    buckets: TokenBuckets
    total_name: str | None

    @property
    def total(self) -> int:
        return sum(self.buckets.as_dict().values())


def _chat(b: TokenBuckets) -> Object:
    read, write = b.input_cache_read, b.input_cache_write_short
    prompt, completion = b.input_uncached + read + write, b.output_visible + b.output_reasoning
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": write, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": b.output_reasoning},
    }


def _responses(b: TokenBuckets) -> Object:
    chat = _chat(b)
    return {
        "input_tokens": chat["prompt_tokens"],
        "output_tokens": chat["completion_tokens"],
        "total_tokens": chat["total_tokens"],
        "input_tokens_details": chat["prompt_tokens_details"],
        "output_tokens_details": chat["completion_tokens_details"],
    }


def _anthropic(b: TokenBuckets) -> Object:
    return {
        "input_tokens": b.input_uncached,
        "cache_read_input_tokens": b.input_cache_read,
        "cache_creation_input_tokens": b.input_cache_write_short + b.input_cache_write_long,
        "cache_creation": {
            "ephemeral_5m_input_tokens": b.input_cache_write_short,
            "ephemeral_1h_input_tokens": b.input_cache_write_long,
        },
        "output_tokens": b.output_visible + b.output_reasoning,
        "output_tokens_details": {"thinking_tokens": b.output_reasoning},
    }


def _gemini(b: TokenBuckets) -> Object:
    prompt = b.input_uncached + b.input_cache_read
    return {
        "promptTokenCount": prompt,
        "cachedContentTokenCount": b.input_cache_read,
        "toolUsePromptTokenCount": b.input_tool,
        "candidatesTokenCount": b.output_visible,
        "thoughtsTokenCount": b.output_reasoning,
        "totalTokenCount": prompt + b.input_tool + b.output_visible + b.output_reasoning,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": prompt // 2},
            {"modality": "IMAGE", "tokenCount": prompt - prompt // 2},
        ],
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": b.input_cache_read}],
    }


def _deepseek(b: TokenBuckets) -> Object:
    chat = _chat(b)
    del chat["prompt_tokens_details"]["cache_write_tokens"]
    return chat | {
        "prompt_cache_hit_tokens": b.input_cache_read,
        "prompt_cache_miss_tokens": b.input_uncached,
    }


def _bedrock(b: TokenBuckets) -> Object:
    short, long = b.input_cache_write_short, b.input_cache_write_long
    return {
        "inputTokens": b.input_uncached,
        "outputTokens": b.output_visible,
        "totalTokens": b.input_tokens + b.output_visible,
        "cacheReadInputTokens": b.input_cache_read,
        "cacheReadInputTokenCount": b.input_cache_read,
        "cacheWriteInputTokens": short + long,
        "cacheDetails": [{"ttl": "1h", "inputTokens": long}, {"ttl": "5m", "inputTokens": short}],
    }


def _cohere(b: TokenBuckets) -> Object:
    return {
        "billed_units": {"input_tokens": b.input_uncached, "output_tokens": b.output_visible},
        "tokens": {"input_tokens": b.input_uncached + 500, "output_tokens": b.output_visible + 2},
        "cached_tokens": 16,
    }


def _otel(b: TokenBuckets) -> Object:
    return {
        "gen_ai.usage.input_tokens": b.input_tokens,
        "gen_ai.usage.output_tokens": b.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": b.input_cache_read,
        "gen_ai.usage.cache_creation.input_tokens": b.input_cache_write_short,
        "gen_ai.usage.reasoning.output_tokens": b.output_reasoning,
    }


def _tokenbourse(b: TokenBuckets) -> Object:
    whole = b.input_uncached + b.input_cache_read
    return {
        "input": whole,
        "cached": b.input_cache_read,
        "output": b.output_visible,
        "total": whole + b.output_visible,
    }


_ALWAYS = ("input_uncached", "output_visible")
_CHAT = (*_ALWAYS, "input_cache_read", "input_cache_write_short", "output_reasoning")
# The buckets a family can state, how it states them, and the name of its total.
ENCODERS: Mapping[str, tuple[tuple[str, ...], Callable[[TokenBuckets], Object], str | None]] = {
    "openai_chat": (_CHAT, _chat, "total_tokens"),
    "openrouter": (_CHAT, lambda b: _chat(b) | {"cost": 0.25, "is_byok": False}, "total_tokens"),
    "openai_responses": (_CHAT, _responses, "total_tokens"),
    "anthropic_messages": ((*_CHAT, "input_cache_write_long"), _anthropic, None),
    "gemini": ((*_ALWAYS, "input_cache_read", "input_tool", "output_reasoning"), _gemini, "totalTokenCount"),
    "deepseek": ((*_ALWAYS, "input_cache_read", "output_reasoning"), _deepseek, "total_tokens"),
    "bedrock_converse": (
        (*_ALWAYS, "input_cache_read", "input_cache_write_short", "input_cache_write_long"),
        _bedrock,
        "totalTokens",
    ),
    "cohere": (_ALWAYS, _cohere, None),
    "otel": (_CHAT, _otel, None),
    "tokenbourse": ((*_ALWAYS, "input_cache_read"), _tokenbourse, "total"),
}


@st.composite
def stated(draw: st.DrawFn, families: tuple[str, ...] = tuple(ENCODERS)) -> Stated:
    """An object that adds up."""
    family = draw(st.sampled_from(families))
    names, encode, total_name = ENCODERS[family]
    buckets = TokenBuckets(**{name: draw(counts) for name in names})
    return Stated(family, encode(buckets), buckets, total_name)


def paths(usage: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where the counts of an object are."""
    if isinstance(usage, dict):
        return [path for name, value in usage.items() for path in paths(value, (*at, name))]
    if isinstance(usage, list):
        return [path for index, value in enumerate(usage) for path in paths(value, (*at, index))]
    return [at] if type(usage) is int else []


def put(usage: Any, path: tuple[str | int, ...], value: object) -> Any:
    """A copy of the object with another value at a path."""
    if not path:
        return value
    if isinstance(usage, dict):
        return {name: put(each, path[1:], value) if name == path[0] else each for name, each in usage.items()}
    return [put(each, path[1:], value) if index == path[0] else each for index, each in enumerate(usage)]
