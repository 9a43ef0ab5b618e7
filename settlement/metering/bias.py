"""The signed bias register: whether one side's figures lean to one side inside the tolerance. Pure.

Of each bucket, over requests that both parties delivered and that agree within the unzeroed tolerance: D the sum of
provider's minus buyer's tokens, V the sum of what the tolerance allowed, k the requests in which they differ. Honest
counters err to both sides, so D stays small against V; who shaves, or pads, moves D along with V. Each bucket is judged
by itself: a long prompt, which nobody touches, would otherwise hide what is shaved off its short answer.
"""

from __future__ import annotations

from msgspec import Struct

from settlement.metering.buckets import SETTLED_BUCKETS, Bucket

LEAN_PARTS = 4  # D may be at most a fourth of V
LEAST_DIFFERING = 30  # a handful of tokens at the edge is no verdict


class BucketBias(Struct):
    """D, V and k of a bucket; raw tokens."""

    difference: int = 0
    tolerance: int = 0
    differing: int = 0

    @property
    def leans(self) -> bool:
        """Whether the differences go one way by more than chance and rounding explain."""
        return self.differing >= LEAST_DIFFERING and LEAN_PARTS * abs(self.difference) > self.tolerance


class Bias(Struct):
    """The register of a pair over some requests. Totals are weighted, in milli-contract-tokens."""

    buckets: tuple[BucketBias, ...]  # in the order of SETTLED_BUCKETS
    compared: int = 0
    differing: int = 0
    difference_millitokens: int = 0
    tolerance_millitokens: int = 0

    @property
    def leaning(self) -> tuple[Bucket, ...]:
        """The buckets that lean."""
        return tuple(bucket for bucket, bias in zip(SETTLED_BUCKETS, self.buckets, strict=True) if bias.leans)

    def as_dict(self) -> dict[str, dict[str, str]]:
        """Buckets by name, integers as strings; those that were never compared or allowed anything are left out."""
        return {
            bucket.value: {
                "difference": str(bias.difference),
                "tolerance": str(bias.tolerance),
                "differing": str(bias.differing),
            }
            for bucket, bias in zip(SETTLED_BUCKETS, self.buckets, strict=True)
            if bias.tolerance
        }


def no_bias() -> Bias:
    """An empty register."""
    return Bias(tuple(BucketBias() for _ in SETTLED_BUCKETS))


def compare(
    register: Bias,
    provider: tuple[int, ...],
    buyer: tuple[int, ...],
    allowed: tuple[int, ...],
    weights: tuple[int, ...],
) -> None:
    """Enter a request into the register."""
    register.compared += 1
    for place, bound in enumerate(allowed):
        if bound:
            register.buckets[place].tolerance += bound
            register.tolerance_millitokens += bound * weights[place]
    if provider == buyer:
        return
    register.differing += 1
    for bias, p, u, weight in zip(register.buckets, provider, buyer, weights, strict=True):
        if p != u:
            bias.difference += p - u
            bias.differing += 1
            register.difference_millitokens += (p - u) * weight
