"""Objects under the wrong family, modalities and trust: what a count is, and what it is not."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from config.environment import CHECKOUT
from settlement.metering.buckets import Bucket, ExtractionStatus, QuarantineReason, TrustClass, default_trust
from settlement.metering.families import extract
from settlement.metering.families.names import FIELDS
from tests.unit.settlement.usage_samples import ANTHROPIC, BEDROCK, CHAT, DEEPSEEK, FULL, GEMINI, RESPONSES

# The one pair of families that means the same by the same names.
SAME = {("openai_chat", "openrouter"), ("openrouter", "openai_chat")}


@pytest.mark.parametrize(("sent", "named"), list(permutations(FULL, 2)))
def test_an_object_of_another_family_is_a_finding(sent: str, named: str) -> None:
    extraction = extract(named, FULL[sent])
    if (sent, named) in SAME:
        assert extraction == extract(sent, FULL[sent])
    elif (sent, named) in {("openai_chat", "deepseek"), ("openrouter", "deepseek")}:
        # No foreign name in it; what DeepSeek always states is what it lacks.
        assert extraction.reason is QuarantineReason.MISSING_COUNT
    elif named == "tokenbourse" or sent == "tokenbourse":
        assert extraction.status is ExtractionStatus.FAILED
    else:
        assert extraction.reason is QuarantineReason.WRONG_FAMILY


@pytest.mark.parametrize(
    ("family", "usage", "name"),
    [
        ("openai_chat", CHAT | {"cache_read_input_tokens": 800}, "cache_read_input_tokens"),
        ("openai_chat", CHAT | {"cache_creation": {"ephemeral_1h_input_tokens": 3}}, "cache_creation"),
        ("openai_chat", CHAT | {"reasoning_tokens": 120}, "reasoning_tokens"),
        ("openai_chat", CHAT | {"prompt_tokens_details": {"cache_creation_input_tokens": 5}}, "cache_creation"),
        ("openai_chat", CHAT | {"completion_tokens_details": {"thinking_tokens": 5}}, "thinking_tokens"),
        ("openai_chat", CHAT | {"completion_tokens_details": {"cached_tokens": 5}}, "cached_tokens"),
        ("openai_chat", CHAT | {"prompt_cache_hit_tokens": 800}, "deepseek"),
        ("openai_responses", RESPONSES | {"cache_read_input_tokens": 3}, "anthropic_messages"),
        ("openai_responses", RESPONSES | {"output_tokens_details": {"thinking_tokens": 3}}, "thinking_tokens"),
        ("anthropic_messages", ANTHROPIC | {"total_tokens": 670}, "openai_chat"),
        ("anthropic_messages", ANTHROPIC | {"input_tokens_details": {"cached_tokens": 3}}, "openai_responses"),
        ("anthropic_messages", ANTHROPIC | {"output_tokens_details": {"reasoning_tokens": 60}}, "reasoning_tokens"),
        ("deepseek", DEEPSEEK | {"num_cached_tokens": 64}, "openai_chat"),
        ("bedrock_converse", BEDROCK | {"cache_read_input_tokens": 1}, "anthropic_messages"),
        ("gemini", GEMINI | {"outputTokens": 1}, "bedrock_converse"),
        ("gemini", GEMINI | {"outputTokens": "1"}, "bedrock_converse"),
        ("gemini", GEMINI | {"outputTokens": False}, "bedrock_converse"),
        ("gemini", GEMINI | {"cacheDetails": [{"ttl": "5m", "inputTokens": 0}]}, "bedrock_converse"),
    ],
)
def test_a_single_count_under_another_familys_name_is_a_finding(family: str, usage: Any, name: str) -> None:
    extraction = extract(family, usage)
    assert extraction.reason is QuarantineReason.WRONG_FAMILY
    assert name in extraction.detail


def test_the_table_for_users_names_every_field() -> None:
    table = (CHECKOUT / "settlement" / "metering" / "USAGE_FAMILIES.md").read_text()
    for family, fields in FIELDS.items():
        assert f"`{family}`" in table
        assert [name for name in sorted(fields) if name not in table] == []
    assert [reason for reason in QuarantineReason if f"`{reason}`" not in table] == []


def test_modalities_are_a_second_view_of_the_same_tokens() -> None:
    extraction = extract("gemini", GEMINI)
    assert extraction.modalities == {
        "input": {"text": 84, "image": 516},
        "input_cache_read": {"image": 400},
        "input_tool": {"text": 33},
    }
    assert extract("gemini", {name: each for name, each in GEMINI.items() if "Details" not in name}).buckets == (
        extraction.buckets
    )


def test_modalities_of_an_unknown_kind_and_of_the_openai_form() -> None:
    details = [{"modality": "SMELL", "tokenCount": 5}, {"tokenCount": 2}, {"modality": "TEXT"}]
    assert extract("gemini", GEMINI | {"candidatesTokensDetails": details}).modalities["output"] == {
        "unknown": 7,
        "text": 0,
    }
    spoken = CHAT | {
        "prompt_tokens_details": {"text_tokens": 400, "audio_tokens": 600, "image_tokens": 0},
        "completion_tokens_details": {"audio_tokens": 300},
    }
    assert extract("openai_chat", spoken).modalities == {
        "input": {"text": 400, "audio": 600},
        "output": {"audio": 300},
    }


def test_what_cannot_be_recomputed_is_asserted() -> None:
    public = {bucket: default_trust(bucket, public_tokenizer=True) for bucket in Bucket}
    secret = {bucket: default_trust(bucket, public_tokenizer=False) for bucket in Bucket}
    text = {Bucket.INPUT_UNCACHED, Bucket.OUTPUT_VISIBLE}
    assert {bucket for bucket, trust in public.items() if trust is TrustClass.RECOMPUTABLE} == text
    assert {bucket for bucket, trust in secret.items() if trust is TrustClass.WITNESSED} == text
    assert {public[bucket] for bucket in set(Bucket) - text} == {TrustClass.ASSERTED}
    assert {secret[bucket] for bucket in set(Bucket) - text} == {TrustClass.ASSERTED}
