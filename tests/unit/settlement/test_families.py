from __future__ import annotations

from typing import Any

import pytest

from settlement.metering.buckets import QuarantineReason, TokenBuckets
from settlement.metering.families import FAMILIES, extract

CACHED_CHAT = {
    "prompt_tokens": 1_000,
    "completion_tokens": 300,
    "total_tokens": 1_300,
    "prompt_tokens_details": {"cached_tokens": 800, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 120},
}


def test_openai_details_are_inside_their_totals() -> None:
    extraction = extract("openai_chat", CACHED_CHAT)
    assert extraction.reason is None
    assert extraction.buckets == TokenBuckets(
        input_uncached=200, input_cache_read=800, output_visible=180, output_reasoning=120
    )
    assert (extraction.buckets.input_tokens, extraction.buckets.output_tokens) == (1_000, 300)


def test_openai_details_may_be_null_or_absent() -> None:
    plain = {"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5, "prompt_tokens_details": None}
    assert extract("openai_chat", plain).buckets == TokenBuckets(input_uncached=5)


def test_a_total_above_its_parts_keeps_the_rest_by_name_and_goes_to_quarantine() -> None:
    # As recorded from an OpenAI-compatible endpoint that leaves reasoning out of the completion.
    extraction = extract("openai_chat", {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109})
    assert extraction.reason is QuarantineReason.UNEXPLAINED_TOKENS
    assert extraction.buckets == TokenBuckets(input_uncached=35, output_visible=12, unexplained=62)


def test_anthropic_cache_counts_stand_beside_the_input() -> None:
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 500,
        "cache_creation_input_tokens": 70,
        "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 40},
        "output_tokens": 90,
        "output_tokens_details": {"thinking_tokens": 60},
        "service_tier": "standard",
    }
    extraction = extract("anthropic_messages", usage)
    assert extraction.reason is None
    assert extraction.buckets == TokenBuckets(
        input_uncached=10,
        input_cache_read=500,
        input_cache_write_short=30,
        input_cache_write_long=40,
        output_visible=30,
        output_reasoning=60,
    )


def test_anthropic_cache_writes_without_a_breakdown_are_short() -> None:
    usage = {"input_tokens": 1, "cache_creation_input_tokens": 7, "output_tokens": 2}
    assert extract("anthropic_messages", usage).buckets.input_cache_write_short == 7


def test_our_own_counts_include_the_cached_part_in_the_input() -> None:
    extraction = extract("tokenbourse", {"input": 100, "cached": 60, "output": 5, "total": 105})
    assert extraction.reason is None
    assert extraction.buckets == TokenBuckets(input_uncached=40, input_cache_read=60, output_visible=5)


@pytest.mark.parametrize(
    ("family", "usage", "reason"),
    [
        ("morse", {}, QuarantineReason.UNKNOWN_FAMILY),
        ("openai_chat", None, QuarantineReason.MALFORMED),
        ("openai_chat", [1], QuarantineReason.MALFORMED),
        ("openai_chat", {}, QuarantineReason.MISSING_COUNT),
        ("openai_chat", {"prompt_tokens": 1, "completion_tokens": 1}, QuarantineReason.MISSING_COUNT),
        ("openai_chat", CACHED_CHAT | {"total_tokens": 1_299}, QuarantineReason.TOTAL_MISMATCH),
        ("openai_chat", CACHED_CHAT | {"prompt_tokens": 799}, QuarantineReason.PARTS_EXCEED_WHOLE),
        ("openai_chat", CACHED_CHAT | {"prompt_tokens_details": 3}, QuarantineReason.MALFORMED),
        ("openai_chat", CACHED_CHAT | {"prompt_tokens": -1}, QuarantineReason.INVALID_COUNT),
        ("openai_chat", CACHED_CHAT | {"prompt_tokens": True}, QuarantineReason.INVALID_COUNT),
        ("openai_chat", CACHED_CHAT | {"prompt_tokens": "1000"}, QuarantineReason.INVALID_COUNT),
        ("openai_chat", CACHED_CHAT | {"prompt_tokens": 2**53}, QuarantineReason.INVALID_COUNT),
        ("anthropic_messages", {"input_tokens": 1}, QuarantineReason.MISSING_COUNT),
        (
            "anthropic_messages",
            {
                "input_tokens": 1,
                "output_tokens": 1,
                "cache_creation_input_tokens": 5,
                "cache_creation": {"ephemeral_5m_input_tokens": 4},
            },
            QuarantineReason.TOTAL_MISMATCH,
        ),
        ("tokenbourse", {"input": 1, "ouput": 2}, QuarantineReason.MALFORMED),
        ("tokenbourse", {"input": 1, "cached": 2, "output": 0}, QuarantineReason.PARTS_EXCEED_WHOLE),
        ("tokenbourse", {"input": 1, "output": 0, "total": 3}, QuarantineReason.UNEXPLAINED_TOKENS),
    ],
)
def test_what_does_not_add_up_comes_back_with_a_reason(family: str, usage: Any, reason: QuarantineReason) -> None:
    extraction = extract(family, usage)
    assert extraction.reason is reason
    assert extraction.detail


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("usage", [{"input": {}}, {1: 2}, {"prompt_tokens": [[]]}, "x", 7])
def test_adapters_never_raise(family: str, usage: Any) -> None:
    assert extract(family, usage).reason is not None
