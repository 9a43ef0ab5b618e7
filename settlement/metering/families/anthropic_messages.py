"""Anthropic Messages: cache counts stand beside `input_tokens`, not inside it, and there is no total.

An answer that took several turns of sampling lists them in `iterations`. Those of type `message` add up to the counts
on top. Those of type `compaction` (the same model summing up the conversation) are billed and in no other count. All
others, such as an adviser's, are another model's: no token of the product that the contract is about.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger.money import MAX_JSON_INTEGER
from settlement.metering.buckets import Extraction, QuarantineReason, TokenBuckets
from settlement.metering.families.balance import lost
from settlement.metering.families.counts import (
    PART,
    Unusable,
    Usage,
    count,
    details_of,
    entries,
    read_details,
    section,
)

VERSION = 2
_OUTPUT = details_of({"thinking_tokens": PART})


class _Counts(NamedTuple):
    """Of one turn of sampling, or of all; disjoint."""

    input: int
    cache_read: int
    short: int
    long: int
    output: int


_NOTHING = _Counts(0, 0, 0, 0, 0)


def extract(usage: Usage) -> Extraction:
    fresh, output = count(usage, "input_tokens"), count(usage, "output_tokens")
    cache_read = count(usage, "cache_read_input_tokens") or 0
    short, long = _cache_writes(usage)
    details, _ = read_details(usage, "output_tokens_details", _OUTPUT, output)
    thinking = details.get("thinking_tokens") or 0
    if fresh is None or output is None:
        missing = [name for name, n in (("input_tokens", fresh), ("output_tokens", output)) if n is None]
        visible = 0 if output is None else output - thinking
        return lost(TokenBuckets(fresh or 0, cache_read, short, long, 0, visible, thinking), missing)
    if usage.get("iterations"):
        return _with_iterations(usage, _Counts(fresh, cache_read, short, long, output), thinking)
    return Extraction(TokenBuckets(fresh, cache_read, short, long, 0, output - thinking, thinking))


def _cache_writes(usage: Usage) -> tuple[int, int]:
    """Tokens written to the five-minute and the one-hour cache. Without a breakdown all are five-minute ones, as the
    longer life must be asked for."""
    written = count(usage, "cache_creation_input_tokens")
    breakdown = section(usage, "cache_creation")
    if not breakdown:
        return written or 0, 0
    short = count(breakdown, "ephemeral_5m_input_tokens") or 0
    long = count(breakdown, "ephemeral_1h_input_tokens") or 0
    if written is not None and short + long != written:
        raise Unusable(
            QuarantineReason.TOTAL_MISMATCH,
            f"cache_creation sums to {short + long}, cache_creation_input_tokens is {written}.",
        )
    return short, long


def _with_iterations(usage: Usage, top: _Counts, thinking: int) -> Extraction:
    messages, compactions, others = _NOTHING, _NOTHING, _NOTHING
    for entry in entries(usage, "iterations"):
        if entry.get("type") == "message":
            messages = _plus(messages, _iteration(entry))
        elif entry.get("type") == "compaction":
            compactions = _plus(compactions, _iteration(entry))
        else:
            others = _plus(others, _iteration(entry))
    if messages != top:
        raise Unusable(
            QuarantineReason.TOTAL_MISMATCH,
            f"The iterations of type message sum to {sum(messages)}, the counts on top to {sum(top)}.",
        )
    own = _plus(top, compactions)
    if sum(own) + sum(others) > MAX_JSON_INTEGER:
        raise Unusable(QuarantineReason.COUNT_OUT_OF_RANGE, f"The iterations sum to more than {MAX_JSON_INTEGER}.")
    buckets = TokenBuckets(
        own.input, own.cache_read, own.short, own.long, 0, own.output - thinking, thinking, sum(others)
    )
    if sum(others):
        detail = f"{sum(others)} tokens of the iterations are another model's."
        return Extraction(buckets, QuarantineReason.OTHER_MODEL, detail)
    return Extraction(buckets)


def _iteration(entry: Usage) -> _Counts:
    short, long = _cache_writes(entry)
    return _Counts(
        count(entry, "input_tokens") or 0,
        count(entry, "cache_read_input_tokens") or 0,
        short,
        long,
        count(entry, "output_tokens") or 0,
    )


def _plus(one: _Counts, other: _Counts) -> _Counts:
    return _Counts(*(a + b for a, b in zip(one, other, strict=True)))
