"""Cohere: what is billed differs from what was processed, and what is billed counts.

`tokens` and `cached_tokens` tell what the model processed, including text of the provider's own that is not billed. No
bucket takes them; they stay in the raw object, and no more can be billed than was processed. The `meta` object of an
embedding has the same members, and no output.
"""

from __future__ import annotations

from settlement.metering.buckets import Extraction, QuarantineReason, TokenBuckets
from settlement.metering.families.balance import lost
from settlement.metering.families.counts import Usage, count, exceeds, section

VERSION = 1


def extract(usage: Usage) -> Extraction:
    billed, processed = section(usage, "billed_units"), section(usage, "tokens")
    whole_input, output = count(billed, "input_tokens"), count(billed, "output_tokens")
    processed_input, processed_output = count(processed, "input_tokens"), count(processed, "output_tokens")
    _at_most(whole_input, processed_input, "tokens.input_tokens")
    _at_most(output, processed_output, "tokens.output_tokens")
    _at_most(count(usage, "cached_tokens"), processed_input, "tokens.input_tokens")
    images = count(billed, "image_tokens") or 0
    buckets = TokenBuckets(whole_input or 0, output_visible=output or 0, unexplained=images)
    missing = [] if whole_input is not None else ["billed_units.input_tokens"]
    if output is None and (whole_input is None or processed):
        missing.append("billed_units.output_tokens")
    if missing:
        return lost(buckets, missing)
    if images:
        # Whether they are in input_tokens as well, the provider does not say.
        return Extraction(
            buckets, QuarantineReason.UNEXPLAINED_TOKENS, f"{images} image tokens that may be input tokens as well."
        )
    return Extraction(buckets)


def _at_most(part: int | None, whole: int | None, name: str) -> None:
    if part is not None and whole is not None and part > whole:
        raise exceeds(name, part - whole)
