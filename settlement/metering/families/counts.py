"""Reading counts from a provider's usage object, strictly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.money import MAX_JSON_INTEGER
from settlement.metering.buckets import Extraction, QuarantineReason, TokenBuckets


class Unusable(Exception):
    """The object cannot be read as its family defines. Raised by adapters, caught by `families.extract`."""

    def __init__(self, reason: QuarantineReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def section(usage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A nested object; absent or null is the empty one."""
    value = usage.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Unusable(QuarantineReason.MALFORMED, f"{name} is not an object.")
    return value


def required(usage: Mapping[str, Any], name: str) -> int:
    """A count that the family always states."""
    if usage.get(name) is None:
        raise Unusable(QuarantineReason.MISSING_COUNT, f"{name} is missing.")
    return optional(usage, name)


def optional(usage: Mapping[str, Any], name: str) -> int:
    """A count that is 0 when absent or null."""
    value = usage.get(name)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_JSON_INTEGER:
        raise Unusable(QuarantineReason.INVALID_COUNT, f"{name} is not a whole number from 0 to {MAX_JSON_INTEGER}.")
    return value


def rest(whole: int, *parts: int, of: str) -> int:
    """What is left of a whole after the parts it includes."""
    left = whole - sum(parts)
    if left < 0:
        raise Unusable(QuarantineReason.PARTS_EXCEED_WHOLE, f"The parts of {of} exceed it by {-left}.")
    return left


def checked_against_total(buckets: TokenBuckets, total: int) -> Extraction:
    """Hold the buckets against the provider's own total."""
    missing = total - buckets.input_tokens - buckets.output_tokens
    if missing < 0:
        return Extraction(
            buckets, QuarantineReason.TOTAL_MISMATCH, f"The provider's total is {-missing} less than its parts."
        )
    if missing > 0:
        # The adapter's counts are kept whole; only the surplus has no name.
        counts = buckets.as_dict() | {"unexplained": missing}
        return Extraction(
            TokenBuckets(**counts),
            QuarantineReason.UNEXPLAINED_TOKENS,
            f"The provider's total is {missing} more than its parts.",
        )
    return Extraction(buckets)
