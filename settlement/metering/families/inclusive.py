"""The commonest form: input includes cache reads and writes, output includes reasoning, and there is a total."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from settlement.metering.buckets import Extraction, TokenBuckets
from settlement.metering.families.balance import NO_MODALITIES, Modalities, balanced, lost
from settlement.metering.families.counts import (
    PART,
    Usage,
    contradiction,
    count,
    details_of,
    exceeds,
    read_details,
)

_MODALITIES = {"text_tokens": "text", "image_tokens": "image", "audio_tokens": "audio", "video_tokens": "video"}
_INPUT = details_of({"cached_tokens": PART, "cache_write_tokens": PART} | _MODALITIES)
_OUTPUT = details_of(
    {"reasoning_tokens": PART, "accepted_prediction_tokens": PART, "rejected_prediction_tokens": PART} | _MODALITIES
)


class Form(NamedTuple):
    """What a family calls its three figures and their details; empty where it has none, or need not state it. The
    names inside the details are the same for all."""

    input: str
    output: str
    total: str
    input_details: str
    output_details: str


def read(usage: Usage, form: Form, cached: int | None = None) -> Extraction:
    """Read an object of the form. `cached`: what it says about cache reads outside of the details, if it does."""
    input_name, output_name, total_name, input_details, output_details = form
    whole_input, whole_output, total = count(usage, input_name), count(usage, output_name), count(usage, total_name)
    details, by_input = read_details(usage, input_details, _INPUT, whole_input)
    cache_read = details.get("cached_tokens")
    if cached is not None:
        if cache_read is not None and cache_read != cached:
            raise contradiction("cached_tokens", cache_read, "the count outside the details", cached)
        cache_read = cached
    cache_read, cache_write = cache_read or 0, details.get("cache_write_tokens") or 0
    details, by_output = read_details(usage, output_details, _OUTPUT, whole_output)
    reasoning = details.get("reasoning_tokens") or 0
    modalities = _by_whole(by_input, by_output) if by_input or by_output else NO_MODALITIES
    return close(form, (whole_input, whole_output, total), (cache_read, cache_write, reasoning), modalities)


def close(
    form: Form,
    wholes: tuple[int | None, int | None, int | None],
    parts: tuple[int, int, int],
    modalities: Modalities = NO_MODALITIES,
) -> Extraction:
    """Take the parts (cache reads, cache writes, reasoning) out of their wholes (input, output) and hold all against
    the total. A whole or total that the object does not state is None."""
    whole_input, whole_output, total = wholes
    if whole_input is None or whole_output is None or total is None:
        return _incomplete(form, wholes, parts, modalities)
    buckets = _disjoint(form, whole_input, whole_output, parts)
    if whole_input + whole_output == total:
        return Extraction(buckets, None, "", modalities)
    return balanced(buckets, total, modalities)


def _disjoint(form: Form, whole_input: int, whole_output: int, parts: tuple[int, int, int]) -> TokenBuckets:
    cache_read, cache_write, reasoning = parts
    uncached = whole_input - cache_read - cache_write
    if uncached < 0:
        raise exceeds(form.input, -uncached)
    visible = whole_output - reasoning
    if visible < 0:
        raise exceeds(form.output, -visible)
    return TokenBuckets(uncached, cache_read, cache_write, 0, 0, visible, reasoning)


def _incomplete(
    form: Form,
    wholes: tuple[int | None, int | None, int | None],
    parts: tuple[int, int, int],
    modalities: Modalities,
) -> Extraction:
    whole_input, whole_output, total = wholes
    cache_read, cache_write, reasoning = parts
    if whole_output is None and whole_input is not None and whole_input == total:
        # Embeddings state no output, and their total says that there was none.
        return close(form, (whole_input, 0, total), parts, modalities)
    buckets = _disjoint(
        form,
        cache_read + cache_write if whole_input is None else whole_input,
        reasoning if whole_output is None else whole_output,
        parts,
    )
    missing = [name for name, stated in zip(form, wholes, strict=False) if stated is None and name]
    return lost(buckets, missing, total=total, modalities=modalities)


def _by_whole(by_input: Mapping[str, int], by_output: Mapping[str, int]) -> Modalities:
    return {name: counts for name, counts in (("input", by_input), ("output", by_output)) if counts}
