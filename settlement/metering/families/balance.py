"""Closing an extraction: the parts against the provider's own total."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from settlement.metering.buckets import Extraction, QuarantineReason, TokenBuckets

Modalities = Mapping[str, Mapping[str, int]]
NO_MODALITIES: Modalities = {}


def balanced(buckets: TokenBuckets, total: int, modalities: Modalities = NO_MODALITIES) -> Extraction:
    """Hold the parts against the total. They are kept as read; only what the total has beyond them has no name."""
    surplus = total - buckets.input_tokens - buckets.output_tokens
    if surplus == 0:
        return Extraction(buckets, None, "", modalities)
    if surplus > 0:
        return Extraction(
            replace(buckets, unexplained=surplus),
            QuarantineReason.UNEXPLAINED_TOKENS,
            f"The provider's total is {surplus} more than its parts.",
            modalities,
        )
    detail = f"The provider's total is {-surplus} less than its parts."
    return Extraction(buckets, QuarantineReason.TOTAL_MISMATCH, detail, modalities)


def lost(
    buckets: TokenBuckets, missing: list[str], *, total: int | None = None, modalities: Modalities = NO_MODALITIES
) -> Extraction:
    """Counts that the family always states are not there. What is there is kept, and what the total has beyond it."""
    surplus = 0 if total is None else total - buckets.input_tokens - buckets.output_tokens
    if surplus > 0:
        buckets = replace(buckets, unexplained=surplus)
    verb = "is" if len(missing) == 1 else "are"
    return Extraction(buckets, QuarantineReason.MISSING_COUNT, f"{', '.join(missing)} {verb} missing.", modalities)
