"""The disjoint token counts every provider's usage object is turned into, and what can be said of such a reading."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import asdict


class Bucket(StrEnum):
    """Kinds of token. Disjoint: a token is counted in exactly one of them."""

    INPUT_UNCACHED = "input_uncached"
    INPUT_CACHE_READ = "input_cache_read"
    INPUT_CACHE_WRITE_SHORT = "input_cache_write_short"  # kept for minutes; also where no duration is stated
    INPUT_CACHE_WRITE_LONG = "input_cache_write_long"  # kept for an hour or more
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


class TokenBuckets(Struct, frozen=True, gc=False):
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
        return getattr(self, bucket)  # type: ignore[no-any-return]

    def as_dict(self) -> dict[str, int]:
        """Counts by bucket name, all eight."""
        return asdict(self)

    @property
    def input_tokens(self) -> int:
        """All input, cached or not. For display."""
        return (
            self.input_uncached
            + self.input_cache_read
            + self.input_cache_write_short
            + self.input_cache_write_long
            + self.input_tool
        )

    @property
    def output_tokens(self) -> int:
        """All output, reasoning included. For display."""
        return self.output_visible + self.output_reasoning


class TrustClass(StrEnum):
    """What a bucket's count rests on, strongest first."""

    RECOMPUTABLE = "recomputable"  # anybody with the text and the public tokenizer gets the same
    WITNESSED = "witnessed"  # the text went past both meters
    ASSERTED = "asserted"  # the provider says so, and nobody else can know


def default_trust(bucket: Bucket, *, public_tokenizer: bool) -> TrustClass:
    """The trust class of a bucket when nothing else is known of the record.

    Of text that went past both meters, the split into cached and uncached remains the provider's word: recomputing
    bounds `input_uncached` from above.
    """
    if bucket in (Bucket.INPUT_UNCACHED, Bucket.OUTPUT_VISIBLE):
        return TrustClass.RECOMPUTABLE if public_tokenizer else TrustClass.WITNESSED
    return TrustClass.ASSERTED


class QuarantineReason(StrEnum):
    """Why a usage object is kept aside instead of being settled."""

    UNKNOWN_FAMILY = "unknown_family"
    NO_USAGE = "no_usage"  # the provider sent no usage object at all
    MALFORMED = "malformed"  # not the shape the family defines
    WRONG_FAMILY = "wrong_family"  # counts under names that belong to other families
    MISSING_COUNT = "missing_count"  # there is a usage object, but counts the family always states were lost
    INVALID_COUNT = "invalid_count"  # not a JSON integer
    NEGATIVE_COUNT = "negative_count"
    COUNT_OUT_OF_RANGE = "count_out_of_range"  # above 2^53 - 1, where JSON readers stop being exact
    CONTRADICTORY_COUNTS = "contradictory_counts"  # the same count stated twice, differently
    PARTS_EXCEED_WHOLE = "parts_exceed_whole"  # more cached than input tokens, say
    TOTAL_MISMATCH = "total_mismatch"  # the provider's total is less than its parts
    UNEXPLAINED_TOKENS = "unexplained_tokens"  # the provider's total is more than its parts
    OTHER_MODEL = "other_model"  # part of the tokens are another model's


class ExtractionStatus(StrEnum):
    """How far a usage object could be read."""

    COMPLETE = "complete"  # every count is there and they add up
    PARTIAL = "partial"  # something is missing or does not add up; the counts that could be read are kept
    FAILED = "failed"  # no count could be read


_NOTHING = TokenBuckets()


class Extraction(Struct, frozen=True, gc=False):
    """What was read from a usage object. With a `reason` it is for quarantine; `detail` says what was wrong.

    `modalities`: tokens by modality ("text", "image", "audio", "video", "document", "unknown") as far as the provider
    states them, by the whole they are part of: "input" (all but tool input), "input_cache_read", "input_tool" and
    "output" (visible for Gemini, all of it elsewhere). A second view of tokens the buckets already hold, never to be
    added to them.
    """

    buckets: TokenBuckets
    reason: QuarantineReason | None = None
    detail: str = ""
    modalities: Mapping[str, Mapping[str, int]] = {}

    @property
    def status(self) -> ExtractionStatus:
        if self.reason is None:
            return ExtractionStatus.COMPLETE
        return ExtractionStatus.FAILED if self.buckets == _NOTHING else ExtractionStatus.PARTIAL
