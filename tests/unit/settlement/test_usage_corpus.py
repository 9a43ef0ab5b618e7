"""Conformance: recorded usage objects of real providers against an independent library's reading of them.

The corpus is not part of the project. `TOKENBOURSE_USAGE_CORPUS` names a copy: a JSON list, gzipped, of objects with
`body` (a provider's answer, cut down to model and usage) and `extracted` (per API flavour, the counts that the library
reads from it; its input and output are inclusive). Every object agrees, or is listed by name with the reason in
`usage_corpus_exceptions.json`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from settlement.metering.buckets import Extraction
from settlement.metering.families import FAMILIES, extract

CORPUS = os.environ.get("TOKENBOURSE_USAGE_CORPUS", "")
EXCEPTIONS = Path(__file__).with_name("usage_corpus_exceptions.json")
# What tells an object's family, first match first, and the library's flavours for it.
OWN_FAMILY = [
    ("billed_units", "cohere", ["cohere/default", "cohere/embeddings"]),
    ("prompt_cache_hit_tokens", "deepseek", ["deepseek/chat"]),
    ("inputTokens", "bedrock_converse", ["aws/default"]),
    ("promptTokenCount", "gemini", ["google/default"]),
    ("input_tokens_details", "openai_responses", ["openai/responses"]),
    ("is_byok", "openrouter", ["openrouter/chat"]),
    ("cost_details", "openrouter", ["openrouter/chat"]),
    ("prompt_tokens", "openai_chat", ["openai/chat", "openai/embeddings"]),
    ("input_tokens", "anthropic_messages", ["anthropic/default"]),
]


def usage_of(body: dict[str, Any]) -> tuple[str, list[str], dict[str, Any]]:
    """An object's family, the library's flavours for it, and the usage itself."""
    usage = next(body[name] for name in ("usage", "usageMetadata", "meta") if name in body)
    family, flavours = next((family, flavours) for name, family, flavours in OWN_FAMILY if name in usage)
    return family, flavours, usage


def name_of(body: dict[str, Any]) -> str:
    """The recording's file, and a digest, as a file may hold several answers."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return f"{body['file'].rpartition('/')[2]}#{digest[:12]}"


def as_the_library_counts(extraction: Extraction) -> dict[str, int]:
    """Our reading in the library's terms: inclusive wholes, documents among the images, tool text among the text."""
    buckets, modalities = extraction.buckets, extraction.modalities

    def tokens(whole: str, *kinds: str) -> int:
        return sum(modalities.get(whole, {}).get(kind, 0) for kind in kinds)

    return {
        "input_tokens": buckets.input_tokens,
        "output_tokens": buckets.output_tokens,
        "cache_read_tokens": buckets.input_cache_read,
        "cache_write_tokens": buckets.input_cache_write_short + buckets.input_cache_write_long,
        "cache_write_5m_tokens": buckets.input_cache_write_short,
        "output_reasoning_tokens": buckets.output_reasoning,
        "input_tool_tokens": buckets.input_tool,
        "input_text_tokens": tokens("input", "text") + tokens("input_tool", "text"),
        "input_text_tool_tokens": tokens("input_tool", "text"),
        "input_image_tokens": tokens("input", "image", "document"),
        "input_audio_tokens": tokens("input", "audio"),
        "input_video_tokens": tokens("input", "video"),
        "cache_text_read_tokens": tokens("input_cache_read", "text"),
        "cache_image_read_tokens": tokens("input_cache_read", "image", "document"),
        "cache_audio_read_tokens": tokens("input_cache_read", "audio"),
        "cache_video_read_tokens": tokens("input_cache_read", "video"),
        "output_text_tokens": tokens("output", "text"),
        "output_image_tokens": tokens("output", "image"),
    }


# Where the library states nothing, it means 0; of the others it reads some for some providers only.
ALWAYS = {
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_reasoning_tokens",
    "input_tool_tokens",
}
NOT_TOKENS = {"web_searches"}


def agrees(extraction: Extraction, theirs: dict[str, int]) -> bool:
    ours = as_the_library_counts(extraction)
    stated = theirs.keys() - NOT_TOKENS
    return extraction.reason is None and all(ours[name] == theirs.get(name, 0) for name in stated | ALWAYS)


def library_reading(entry: dict[str, Any], flavours: list[str]) -> dict[str, int]:
    readings = {
        f"{extractor['provider_id']}/{extractor['api_flavor']}": reading["usage"]
        for reading in entry["extracted"]
        for extractor in reading["extractors"]
    }
    found: dict[str, int] = next(readings[flavour] for flavour in flavours if flavour in readings)
    return found


needs_corpus = pytest.mark.skipif(
    not CORPUS, reason="CONFORMANCE NOT CHECKED: TOKENBOURSE_USAGE_CORPUS names no corpus"
)


def corpus() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(gzip.decompress(Path(CORPUS).read_bytes()))
    return entries


@needs_corpus
def test_recorded_objects_agree_with_an_independent_reading(capsys: pytest.CaptureFixture[str]) -> None:
    excepted = {name for group in json.loads(EXCEPTIONS.read_text()) for name in group["objects"]}
    seen: Counter[str] = Counter()
    agreed: Counter[str] = Counter()
    differing = set()
    for entry in corpus():
        family, flavours, usage = usage_of(entry["body"])
        seen[family] += 1
        if agrees(extract(family, usage), library_reading(entry, flavours)):
            agreed[family] += 1
        else:
            differing.add(name_of(entry["body"]))
    with capsys.disabled():
        print(f"\nConformance: {agreed.total()} of {seen.total()} recorded usage objects agree")
        for family, total in sorted(seen.items()):
            print(f"  {family:<20} {agreed[family]:>4} of {total:>4}")
    assert seen.total() > 0
    assert differing == excepted


@needs_corpus
def test_no_recorded_object_passes_as_another_family_with_another_reading() -> None:
    for entry in corpus():
        family, _, usage = usage_of(entry["body"])
        own = extract(family, usage)
        for other in FAMILIES:
            extraction = extract(other, usage)
            assert extraction.reason is not None or extraction.buckets == own.buckets, (other, entry["body"])


def test_exceptions_have_reasons_and_stand_once() -> None:
    groups = json.loads(EXCEPTIONS.read_text())
    names = [name for group in groups for name in group["objects"]]
    assert all(group["reason"] for group in groups)
    assert len(names) == len(set(names)) > 0


def test_the_comparison_bites() -> None:
    entry: dict[str, Any] = {
        "body": {"file": "a/b", "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}},
        "extracted": [
            {
                "usage": {"input_tokens": 9, "output_tokens": 1},
                "extractors": [{"provider_id": "openai", "api_flavor": "chat"}],
            }
        ],
    }
    family, flavours, usage = usage_of(entry["body"])
    theirs = library_reading(entry, flavours)
    assert agrees(extract(family, usage), theirs)
    assert not agrees(extract(family, usage), theirs | {"output_tokens": 2})
    assert not agrees(extract(family, usage), theirs | {"cache_read_tokens": 1})
    assert not agrees(extract(family, usage), theirs | {"input_audio_tokens": 1})
    assert not agrees(extract(family, usage | {"total_tokens": 11}), theirs)
    assert name_of(entry["body"]).startswith("b#")
