"""The disjoint token counts every provider's usage object is turned into."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum


class Bucket(StrEnum):
    """Kinds of token. Disjoint: a token is counted in exactly one of them."""

    INPUT_UNCACHED = "input_uncached"
    INPUT_CACHE_READ = "input_cache_read"
    INPUT_CACHE_WRITE_SHORT = "input_cache_write_short"
    INPUT_CACHE_WRITE_LONG = "input_cache_write_long"
    INPUT_TOOL = "input_tool"
    OUTPUT_VISIBLE = "output_visible"
    OUTPUT_REASONING = "output_reasoning"
    UNEXPLAINED = "unexplained"  # in the provider's total, but in none of its parts; never settled


INPUT_BUCKETS = (
    Bucket.INPUT_UNCACHED,
    Bucket.INPUT_CACHE_READ,
    Bucket.INPUT_CACHE_WRITE_SHORT,
    Bucket.INPUT_CACHE_WRITE_LONG,
    Bucket.INPUT_TOOL,
)
OUTPUT_BUCKETS = (Bucket.OUTPUT_VISIBLE, Bucket.OUTPUT_REASONING)
SETTLED_BUCKETS = INPUT_BUCKETS + OUTPUT_BUCKETS


@dataclass(frozen=True, slots=True)
class TokenBuckets:
    """Raw token counts by bucket; the field names are the values of `Bucket`."""

    input_uncached: int = 0
    input_cache_read: int = 0
    input_cache_write_short: int = 0
    input_cache_write_long: int = 0
    input_tool: int = 0
    output_visible: int = 0
    output_reasoning: int = 0
    unexplained: int = 0

    def count(self, bucket: Bucket) -> int:
        return int(getattr(self, bucket.value))

    def as_dict(self) -> dict[str, int]:
        """Counts by bucket name, all eight."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def input_tokens(self) -> int:
        """All input, cached or not. For display."""
        return sum(self.count(bucket) for bucket in INPUT_BUCKETS)

    @property
    def output_tokens(self) -> int:
        """All output, reasoning included. For display."""
        return sum(self.count(bucket) for bucket in OUTPUT_BUCKETS)


class QuarantineReason(StrEnum):
    """Why a usage object is kept aside instead of being settled."""

    UNKNOWN_FAMILY = "unknown_family"
    MALFORMED = "malformed"  # not the shape the family defines
    MISSING_COUNT = "missing_count"
    INVALID_COUNT = "invalid_count"  # not a whole number from 0 to 2^53 - 1
    PARTS_EXCEED_WHOLE = "parts_exceed_whole"  # more cached than input tokens, say
    TOTAL_MISMATCH = "total_mismatch"  # the provider's total is less than its parts
    UNEXPLAINED_TOKENS = "unexplained_tokens"  # the provider's total is more than its parts


@dataclass(frozen=True, slots=True)
class Extraction:
    """What was read from a usage object. With a `reason` it is for quarantine; `detail` says what was wrong."""

    buckets: TokenBuckets
    reason: QuarantineReason | None = None
    detail: str = ""
