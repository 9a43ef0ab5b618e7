"""How far buyer and provider may differ on a request without anybody looking at it. Pure."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from settlement.metering.buckets import SETTLED_BUCKETS, Bucket

PPM = 1_000_000

# Both sides can count these from the text that went past them, but for a token at the edge. Reasoning and cache figures
# are one side's word which the other copies: there is nothing to be inexact about.
_COUNTED_BY_BOTH = frozenset({Bucket.INPUT_UNCACHED, Bucket.INPUT_TOOL, Bucket.OUTPUT_VISIBLE})
COUNTED_PLACES = tuple(place for place, bucket in enumerate(SETTLED_BUCKETS) if bucket in _COUNTED_BY_BOTH)


class Tolerance(Struct, frozen=True):
    """Of each bucket that both sides count the larger of both bounds, inclusive; of all others nothing.

    `absolute_tokens` is for each request, `relative_ppm` of the provider's count. With `zero` nothing may differ, and
    `allowed` still says what would have been: a pair's bias is measured the same way before and after.
    """

    absolute_tokens: int = 0
    relative_ppm: int = 0
    zero: bool = False

    def allowed(self, provider: tuple[int, ...], *, requests: int = 1) -> tuple[int, ...]:
        """The bound of each bucket in raw tokens, before any zeroing."""
        bounds = [0] * len(SETTLED_BUCKETS)
        for place in COUNTED_PLACES:
            bounds[place] = max(self.absolute_tokens * requests, provider[place] * self.relative_ppm // PPM)
        return tuple(bounds)

    def zeroed(self) -> Tolerance:
        return replace(self, zero=True)


def within(provider: tuple[int, ...], buyer: tuple[int, ...], allowed: tuple[int, ...]) -> bool:
    """Whether no bucket differs by more than is allowed."""
    return provider == buyer or all(abs(p - u) <= bound for p, u, bound in zip(provider, buyer, allowed, strict=True))
