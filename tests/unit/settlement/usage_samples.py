"""A small set of usage objects of every family, made up for these tests, and the buckets they mean."""

from __future__ import annotations

from typing import Any, NamedTuple

from settlement.metering.buckets import TokenBuckets


class Sample(NamedTuple):
    name: str
    family: str
    usage: dict[str, Any]
    buckets: TokenBuckets


CHAT = {
    "prompt_tokens": 1_000,
    "completion_tokens": 300,
    "total_tokens": 1_300,
    "prompt_tokens_details": {"cached_tokens": 800, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 120},
}
RESPONSES = {
    "input_tokens": 900,
    "output_tokens": 70,
    "total_tokens": 970,
    "input_tokens_details": {"cached_tokens": 256, "cache_write_tokens": 600},
    "output_tokens_details": {"reasoning_tokens": 64},
}
ANTHROPIC = {
    "input_tokens": 10,
    "cache_read_input_tokens": 500,
    "cache_creation_input_tokens": 70,
    "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 40},
    "output_tokens": 90,
    "output_tokens_details": {"thinking_tokens": 60},
    "server_tool_use": {"web_search_requests": 2},
    "service_tier": "standard",
}
GEMINI = {
    "promptTokenCount": 600,
    "cachedContentTokenCount": 400,
    "toolUsePromptTokenCount": 33,
    "candidatesTokenCount": 20,
    "thoughtsTokenCount": 180,
    "totalTokenCount": 833,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 84}, {"modality": "IMAGE", "tokenCount": 516}],
    "cacheTokensDetails": [{"modality": "IMAGE", "tokenCount": 400}],
    "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 33}],
    "trafficType": "ON_DEMAND",
}
DEEPSEEK = {
    "prompt_tokens": 75,
    "completion_tokens": 25,
    "total_tokens": 100,
    "prompt_cache_hit_tokens": 64,
    "prompt_cache_miss_tokens": 11,
    "prompt_tokens_details": {"cached_tokens": 64},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
BEDROCK = {
    "inputTokens": 5,
    "outputTokens": 45,
    "totalTokens": 1_350,
    "cacheReadInputTokens": 900,
    "cacheReadInputTokenCount": 900,
    "cacheWriteInputTokens": 400,
    "cacheWriteInputTokenCount": 400,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 150}, {"ttl": "5m", "inputTokens": 250}],
    "serverToolUsage": {},
}
COHERE = {
    "billed_units": {"input_tokens": 40, "output_tokens": 12},
    "tokens": {"input_tokens": 640, "output_tokens": 14},
    "cached_tokens": 512,
}
OPENROUTER = CHAT | {"cost": 0.0125, "cost_details": {"upstream_inference_cost": None}, "is_byok": False}
OTEL = {
    "gen_ai.provider.name": "somebody",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 50,
    "gen_ai.usage.cache_read.input_tokens": 60,
    "gen_ai.usage.cache_creation.input_tokens": 30,
    "gen_ai.usage.reasoning.output_tokens": 45,
}
TOKENBOURSE = {"input": 100, "cached": 60, "output": 5, "total": 105}


def iteration(kind: str, input_tokens: int, output_tokens: int) -> dict[str, Any]:
    """A turn of sampling, as Anthropic lists them."""
    return {"type": kind, "input_tokens": input_tokens, "output_tokens": output_tokens, "cache_read_input_tokens": 0}


# One full object of every family.
FULL = {
    "openai_chat": CHAT,
    "openai_responses": RESPONSES,
    "anthropic_messages": ANTHROPIC,
    "gemini": GEMINI,
    "deepseek": DEEPSEEK,
    "bedrock_converse": BEDROCK,
    "cohere": COHERE,
    "openrouter": OPENROUTER,
    "otel": OTEL,
    "tokenbourse": TOKENBOURSE,
}

CHAT_BUCKETS = TokenBuckets(input_uncached=200, input_cache_read=800, output_visible=180, output_reasoning=120)
ANTHROPIC_BUCKETS = TokenBuckets(10, 500, 30, 40, 0, 30, 60)

SAMPLES = [
    Sample("details inside", "openai_chat", CHAT, CHAT_BUCKETS),
    Sample(
        "null details",
        "openai_chat",
        {"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5, "prompt_tokens_details": None},
        TokenBuckets(5),
    ),
    Sample(
        "cache reads as Mistral states them",
        "openai_chat",
        {"prompt_tokens": 70, "completion_tokens": 9, "total_tokens": 79, "num_cached_tokens": 64},
        TokenBuckets(6, 64, output_visible=9),
    ),
    Sample(
        "cache reads as Moonshot states them",
        "openai_chat",
        {"prompt_tokens": 70, "completion_tokens": 9, "total_tokens": 79, "cached_tokens": 60},
        TokenBuckets(10, 60, output_visible=9),
    ),
    Sample(
        "cache reads in two places, and null in the third",
        "openai_chat",
        CHAT | {"cached_tokens": 800, "num_cached_tokens": None},
        CHAT_BUCKETS,
    ),
    Sample("an embedding", "openai_chat", {"prompt_tokens": 8, "total_tokens": 8}, TokenBuckets(8)),
    Sample(
        "both forms of name, one of them empty",
        "openai_chat",
        CHAT | {"input_tokens": 0, "input_tokens_details": None, "cache_creation": {"ephemeral_5m_input_tokens": 0}},
        CHAT_BUCKETS,
    ),
    Sample(
        "members of the provider's own beside it",
        "openai_chat",
        CHAT | {"queue_time": 0.02, "cached": True, "total": "none"},
        CHAT_BUCKETS,
    ),
    Sample("details inside", "openai_responses", RESPONSES, TokenBuckets(44, 256, 600, 0, 0, 6, 64)),
    Sample("cache beside", "anthropic_messages", ANTHROPIC, ANTHROPIC_BUCKETS),
    Sample(
        "writes without a breakdown are short",
        "anthropic_messages",
        {"input_tokens": 1, "cache_creation_input_tokens": 7, "cache_read_input_tokens": None, "output_tokens": 2},
        TokenBuckets(1, 0, 7, output_visible=2),
    ),
    Sample(
        "messages add up to the top, a compaction comes on top of it",
        "anthropic_messages",
        {
            "input_tokens": 230,
            "output_tokens": 15,
            "iterations": [
                iteration("compaction", 1_800, 35),
                iteration("message", 200, 10),
                iteration("message", 30, 5),
            ],
        },
        TokenBuckets(2_030, output_visible=50),
    ),
    Sample("thoughts and tool results beside", "gemini", GEMINI, TokenBuckets(200, 400, 0, 0, 33, 20, 180)),
    Sample(
        "what is 0 is left out",
        "gemini",
        {"promptTokenCount": 9, "totalTokenCount": 40, "thoughtsTokenCount": 31},
        TokenBuckets(9, output_reasoning=31),
    ),
    Sample(
        "an embedding",
        "gemini",
        {"promptTokenCount": 7, "promptTokenDetails": [{"modality": "TEXT", "tokenCount": 7}]},
        TokenBuckets(7),
    ),
    Sample("hits and misses", "deepseek", DEEPSEEK, TokenBuckets(11, 64, output_visible=20, output_reasoning=5)),
    Sample("cache beside, but in the total", "bedrock_converse", BEDROCK, TokenBuckets(5, 900, 250, 150, 0, 45)),
    Sample(
        "one name of each count",
        "bedrock_converse",
        {"inputTokens": 5, "outputTokens": 1, "totalTokens": 16, "cacheWriteInputTokenCount": 10},
        TokenBuckets(5, 0, 10, output_visible=1),
    ),
    Sample("billed, not processed", "cohere", COHERE, TokenBuckets(40, output_visible=12)),
    Sample(
        "the meta object of an embedding",
        "cohere",
        {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 4, "image_tokens": 0}},
        TokenBuckets(4),
    ),
    Sample("chat and cost", "openrouter", OPENROUTER, CHAT_BUCKETS),
    Sample("cache and reasoning inside", "otel", OTEL, TokenBuckets(10, 60, 30, 0, 0, 5, 45)),
    Sample(
        "the newer name of cache writes",
        "otel",
        {
            "gen_ai.usage.input_tokens": 9,
            "gen_ai.usage.output_tokens": 1,
            "gen_ai.usage.cache_write.input_tokens": 8,
        },
        TokenBuckets(1, 0, 8, output_visible=1),
    ),
    Sample("cached inside", "tokenbourse", TOKENBOURSE, TokenBuckets(40, 60, output_visible=5)),
    Sample("without a total", "tokenbourse", {"input": 3, "output": 5}, TokenBuckets(3, output_visible=5)),
]
