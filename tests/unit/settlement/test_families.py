from __future__ import annotations

from typing import Any

import pytest

from settlement.metering.buckets import (
    Bucket,
    ExtractionStatus,
    QuarantineReason,
    TokenBuckets,
)
from settlement.metering.families import FAMILIES, adapter_version, extract
from tests.unit.settlement.usage_samples import (
    ANTHROPIC,
    BEDROCK,
    CHAT,
    COHERE,
    DEEPSEEK,
    FULL,
    GEMINI,
    OTEL,
    RESPONSES,
    SAMPLES,
    TOKENBOURSE,
    Sample,
    iteration,
)

Reason = QuarantineReason


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"{sample.family}: {sample.name}")
def test_what_adds_up_is_read_into_disjoint_buckets(sample: Sample) -> None:
    extraction = extract(sample.family, sample.usage)
    assert extraction.reason is None, extraction.detail
    assert extraction.status is ExtractionStatus.COMPLETE
    assert extraction.buckets == sample.buckets


def test_every_family_has_samples_and_a_version() -> None:
    assert {sample.family for sample in SAMPLES} == set(FAMILIES) == set(FULL)
    assert all(adapter_version(family) >= 1 for family in FAMILIES)
    assert adapter_version("morse") == 0


def test_the_sums_for_display_are_the_providers_own() -> None:
    buckets = extract("openai_chat", CHAT).buckets
    assert (buckets.input_tokens, buckets.output_tokens) == (1_000, 300)
    assert sum(buckets.count(bucket) for bucket in Bucket) == 1_300 == sum(buckets.as_dict().values())


# family, object, why it is set aside, and what is kept of it
ASIDE: list[tuple[str, Any, QuarantineReason, TokenBuckets]] = [
    ("morse", {}, Reason.UNKNOWN_FAMILY, TokenBuckets()),
    ("openai_chat", None, Reason.NO_USAGE, TokenBuckets()),
    ("openai_chat", [1], Reason.MALFORMED, TokenBuckets()),
    ("openai_chat", {}, Reason.MISSING_COUNT, TokenBuckets()),
    ("openai_chat", {"usage": CHAT}, Reason.MISSING_COUNT, TokenBuckets()),
    (
        "openai_chat",
        {"prompt_tokens": 1, "completion_tokens": 2},
        Reason.MISSING_COUNT,
        TokenBuckets(1, output_visible=2),
    ),
    ("openai_chat", {"prompt_tokens": 4, "total_tokens": 9}, Reason.MISSING_COUNT, TokenBuckets(4, unexplained=5)),
    (
        "openai_chat",
        {"completion_tokens": 4, "total_tokens": 9},
        Reason.MISSING_COUNT,
        TokenBuckets(output_visible=4, unexplained=5),
    ),
    # As recorded from a compatible endpoint that leaves reasoning out of the completion.
    (
        "openai_chat",
        {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109},
        Reason.UNEXPLAINED_TOKENS,
        TokenBuckets(35, output_visible=12, unexplained=62),
    ),
    ("openai_chat", CHAT | {"total_tokens": 1_299}, Reason.TOTAL_MISMATCH, extract("openai_chat", CHAT).buckets),
    ("openai_chat", CHAT | {"prompt_tokens": 799}, Reason.PARTS_EXCEED_WHOLE, TokenBuckets()),
    (
        "openai_chat",
        CHAT | {"prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 600}},
        Reason.PARTS_EXCEED_WHOLE,
        TokenBuckets(),
    ),
    (
        "openai_chat",
        CHAT | {"prompt_tokens_details": {"text_tokens": 900, "audio_tokens": 200}},
        Reason.PARTS_EXCEED_WHOLE,
        TokenBuckets(),
    ),
    (
        "openai_chat",
        CHAT | {"completion_tokens_details": {"rejected_prediction_tokens": 301}},
        Reason.PARTS_EXCEED_WHOLE,
        TokenBuckets(),
    ),
    ("openai_chat", CHAT | {"prompt_tokens_details": 3}, Reason.MALFORMED, TokenBuckets()),
    ("openai_chat", CHAT | {"prompt_tokens": -1}, Reason.NEGATIVE_COUNT, TokenBuckets()),
    ("openai_chat", CHAT | {"prompt_tokens": True}, Reason.INVALID_COUNT, TokenBuckets()),
    ("openai_chat", CHAT | {"prompt_tokens": "1000"}, Reason.INVALID_COUNT, TokenBuckets()),
    ("openai_chat", CHAT | {"prompt_tokens": 1000.0}, Reason.INVALID_COUNT, TokenBuckets()),
    ("openai_chat", CHAT | {"prompt_tokens": 2**53}, Reason.COUNT_OUT_OF_RANGE, TokenBuckets()),
    (
        "openai_chat",
        CHAT | {"prompt_tokens_details": {"cached_tokens": 2**63}},
        Reason.COUNT_OUT_OF_RANGE,
        TokenBuckets(),
    ),
    ("openai_chat", CHAT | {"num_cached_tokens": 0}, Reason.CONTRADICTORY_COUNTS, TokenBuckets()),
    (
        "openai_responses",
        RESPONSES | {"total_tokens": None},
        Reason.MISSING_COUNT,
        TokenBuckets(44, 256, 600, 0, 0, 6, 64),
    ),
    # The first event of a stream that broke off, and the last one alone.
    ("anthropic_messages", {"input_tokens": 9}, Reason.MISSING_COUNT, TokenBuckets(9)),
    ("anthropic_messages", {"output_tokens": 9}, Reason.MISSING_COUNT, TokenBuckets(output_visible=9)),
    ("anthropic_messages", ANTHROPIC | {"cache_creation_input_tokens": 71}, Reason.TOTAL_MISMATCH, TokenBuckets()),
    ("anthropic_messages", ANTHROPIC | {"output_tokens": 59}, Reason.PARTS_EXCEED_WHOLE, TokenBuckets()),
    (
        "anthropic_messages",
        {"input_tokens": 5, "output_tokens": 1, "iterations": [iteration("message", 6, 1)]},
        Reason.TOTAL_MISMATCH,
        TokenBuckets(),
    ),
    (
        "anthropic_messages",
        {"input_tokens": 5, "output_tokens": 1, "iterations": [iteration("message", 4, 1)]},
        Reason.TOTAL_MISMATCH,
        TokenBuckets(),
    ),
    (
        "anthropic_messages",
        {
            "input_tokens": 5,
            "output_tokens": 1,
            "iterations": [iteration("message", 5, 1), iteration("advisor_message", 70, 7)],
        },
        Reason.OTHER_MODEL,
        TokenBuckets(5, output_visible=1, unexplained=77),
    ),
    (
        "anthropic_messages",
        {
            "input_tokens": 0,
            "output_tokens": 0,
            "iterations": [iteration("compaction", 2**53 - 1, 0), iteration("compaction", 1, 0)],
        },
        Reason.COUNT_OUT_OF_RANGE,
        TokenBuckets(),
    ),
    ("anthropic_messages", ANTHROPIC | {"iterations": [3]}, Reason.MALFORMED, TokenBuckets()),
    ("gemini", {"totalTokenCount": 6}, Reason.MISSING_COUNT, TokenBuckets(unexplained=6)),
    ("gemini", {"promptTokenCount": 6}, Reason.MISSING_COUNT, TokenBuckets(6)),
    (
        "gemini",
        {"promptTokenCount": 6, "totalTokenCount": 9},
        Reason.UNEXPLAINED_TOKENS,
        TokenBuckets(6, unexplained=3),
    ),
    ("gemini", GEMINI | {"cachedContentTokenCount": 601}, Reason.PARTS_EXCEED_WHOLE, TokenBuckets()),
    ("gemini", GEMINI | {"candidatesTokensDetails": [{"tokenCount": 21}]}, Reason.PARTS_EXCEED_WHOLE, TokenBuckets()),
    (
        "gemini",
        GEMINI | {"candidatesTokensDetails": [{"tokenCount": 20}, {"tokenCount": 1}]},
        Reason.PARTS_EXCEED_WHOLE,
        TokenBuckets(),
    ),
    ("gemini", GEMINI | {"totalTokenCount": 800}, Reason.TOTAL_MISMATCH, extract("gemini", GEMINI).buckets),
    # An embedding whose modalities do not come to its prompt, and one with an output.
    (
        "gemini",
        {"promptTokenCount": 6, "promptTokenDetails": [{"modality": "TEXT", "tokenCount": 5}]},
        Reason.MISSING_COUNT,
        TokenBuckets(6),
    ),
    (
        "gemini",
        {
            "promptTokenCount": 6,
            "promptTokenDetails": [{"modality": "TEXT", "tokenCount": 6}],
            "candidatesTokenCount": 2,
        },
        Reason.MISSING_COUNT,
        TokenBuckets(6, output_visible=2),
    ),
    ("gemini", GEMINI | {"promptTokensDetails": [7]}, Reason.MALFORMED, TokenBuckets()),
    ("gemini", GEMINI | {"promptTokensDetails": {"TEXT": 7}}, Reason.MALFORMED, TokenBuckets()),
    (
        "deepseek",
        {"prompt_tokens": 75, "completion_tokens": 25, "total_tokens": 100},
        Reason.MISSING_COUNT,
        TokenBuckets(75, output_visible=25),
    ),
    ("deepseek", DEEPSEEK | {"prompt_cache_miss_tokens": 12}, Reason.CONTRADICTORY_COUNTS, TokenBuckets()),
    ("deepseek", DEEPSEEK | {"prompt_cache_miss_tokens": 10}, Reason.CONTRADICTORY_COUNTS, TokenBuckets()),
    (
        "deepseek",
        DEEPSEEK | {"prompt_tokens_details": {"cached_tokens": 63}},
        Reason.CONTRADICTORY_COUNTS,
        TokenBuckets(),
    ),
    # A total without the cache: somebody took Anthropic's meaning for OpenAI's.
    (
        "bedrock_converse",
        BEDROCK | {"totalTokens": 50},
        Reason.TOTAL_MISMATCH,
        extract("bedrock_converse", BEDROCK).buckets,
    ),
    ("bedrock_converse", BEDROCK | {"cacheReadInputTokenCount": 0}, Reason.CONTRADICTORY_COUNTS, TokenBuckets()),
    (
        "bedrock_converse",
        BEDROCK | {"cacheDetails": [{"ttl": "5m", "inputTokens": 250}]},
        Reason.TOTAL_MISMATCH,
        TokenBuckets(),
    ),
    (
        "bedrock_converse",
        BEDROCK | {"cacheDetails": [{"ttl": "1d", "inputTokens": 400}]},
        Reason.MALFORMED,
        TokenBuckets(),
    ),
    ("cohere", {"tokens": COHERE["tokens"]}, Reason.MISSING_COUNT, TokenBuckets()),
    ("cohere", {"billed_units": {"search_units": 1}}, Reason.MISSING_COUNT, TokenBuckets()),
    ("cohere", COHERE | {"billed_units": {"input_tokens": 40}}, Reason.MISSING_COUNT, TokenBuckets(40)),
    (
        "cohere",
        COHERE | {"tokens": {"input_tokens": 39}, "cached_tokens": None},
        Reason.PARTS_EXCEED_WHOLE,
        TokenBuckets(),
    ),
    ("cohere", COHERE | {"tokens": {"output_tokens": 11}}, Reason.PARTS_EXCEED_WHOLE, TokenBuckets()),
    ("cohere", COHERE | {"cached_tokens": 641}, Reason.PARTS_EXCEED_WHOLE, TokenBuckets()),
    (
        "cohere",
        {"billed_units": {"input_tokens": 4, "image_tokens": 90}},
        Reason.UNEXPLAINED_TOKENS,
        TokenBuckets(4, unexplained=90),
    ),
    ("otel", OTEL | {"gen_ai.usage.cache_write.input_tokens": 31}, Reason.CONTRADICTORY_COUNTS, TokenBuckets()),
    ("otel", {"gen_ai.usage.input_tokens": 3}, Reason.MISSING_COUNT, TokenBuckets(3)),
    ("otel", {"gen_ai.usage.input_tokens": {"intValue": "3"}}, Reason.INVALID_COUNT, TokenBuckets()),
    ("tokenbourse", {"input": 1, "ouput": 2}, Reason.MALFORMED, TokenBuckets()),
    ("tokenbourse", {"input": 1, "cached": 2, "output": 0}, Reason.PARTS_EXCEED_WHOLE, TokenBuckets()),
    ("tokenbourse", TOKENBOURSE | {"total": 106}, Reason.UNEXPLAINED_TOKENS, TokenBuckets(40, 60, 0, 0, 0, 5, 0, 1)),
    ("tokenbourse", TOKENBOURSE | {"total": 108}, Reason.UNEXPLAINED_TOKENS, TokenBuckets(40, 60, 0, 0, 0, 5, 0, 3)),
]


@pytest.mark.parametrize(("family", "usage", "reason", "kept"), ASIDE)
def test_what_does_not_add_up_comes_back_with_a_reason(
    family: str, usage: Any, reason: QuarantineReason, kept: TokenBuckets
) -> None:
    extraction = extract(family, usage)
    assert extraction.reason is reason
    assert extraction.detail
    assert extraction.buckets == kept
    expected = ExtractionStatus.FAILED if kept == TokenBuckets() else ExtractionStatus.PARTIAL
    assert extraction.status is expected
