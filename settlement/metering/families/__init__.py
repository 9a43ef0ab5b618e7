"""Adapters: one module per API family, each turning that family's usage object into disjoint buckets.

USAGE_FAMILIES.md beside this package says what becomes of every field. To add a family, name its fields in `names`,
write a module with a `VERSION` and `extract(usage) -> Extraction`, and enter it in `FAMILIES`. A change that reads any
object differently raises the module's `VERSION`: it is recorded with every event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from settlement.metering.buckets import Extraction, QuarantineReason, TokenBuckets
from settlement.metering.families import (
    anthropic_messages,
    bedrock_converse,
    cohere,
    deepseek,
    gemini,
    openai_chat,
    openai_responses,
    openrouter,
    otel,
    tokenbourse,
)
from settlement.metering.families.counts import Unusable, Usage, refuse_foreign
from settlement.metering.families.names import foreign_to


class Adapter(NamedTuple):
    """How a family is read. `foreign`: names of counts that only other families have."""

    version: int
    read: Callable[[Usage], Extraction]
    foreign: frozenset[str]


FAMILIES: Mapping[str, Adapter] = {
    family: Adapter(version, read, foreign_to(family))
    for family, version, read in (
        ("openai_chat", openai_chat.VERSION, openai_chat.extract),
        ("openai_responses", openai_responses.VERSION, openai_responses.extract),
        ("anthropic_messages", anthropic_messages.VERSION, anthropic_messages.extract),
        ("gemini", gemini.VERSION, gemini.extract),
        ("deepseek", deepseek.VERSION, deepseek.extract),
        ("bedrock_converse", bedrock_converse.VERSION, bedrock_converse.extract),
        ("cohere", cohere.VERSION, cohere.extract),
        ("openrouter", openrouter.VERSION, openrouter.extract),
        ("otel", otel.VERSION, otel.extract),
        ("tokenbourse", tokenbourse.VERSION, tokenbourse.extract),
    )
}


def extract(family: str, usage: object) -> Extraction:
    """Read a raw usage object. Never raises on bad content: what does not add up comes back with a reason."""
    adapter = FAMILIES.get(family)
    if adapter is None:
        return _aside(QuarantineReason.UNKNOWN_FAMILY, f"Known usage families are {', '.join(sorted(FAMILIES))}.")
    if type(usage) is not dict:
        if usage is None:
            return _aside(QuarantineReason.NO_USAGE, "The provider sent no usage object.")
        return _aside(QuarantineReason.MALFORMED, "The usage is not an object.")
    try:
        if not adapter.foreign.isdisjoint(usage):
            for name in sorted(adapter.foreign.intersection(usage)):
                refuse_foreign(name, usage[name])
        return adapter.read(usage)
    except Unusable as unusable:
        return _aside(unusable.reason, unusable.detail)


def adapter_version(family: str) -> int:
    """The version of the adapter that `extract` reads a family with, for the record of what it read; 0 if unknown."""
    adapter = FAMILIES.get(family)
    return 0 if adapter is None else adapter.version


def _aside(reason: QuarantineReason, detail: str) -> Extraction:
    return Extraction(TokenBuckets(), reason, detail)
