"""What a site can deliver, and how much of it is promised to which windows. Integers only, always rounded down.

A site is declared in contract tokens per second, or as power times energy efficiency times utilisation. A declaration
allocates parts per million of the site to pairs of product and window length. Windows of one length (a calendar month
is one) never overlap and cover all time, so at every instant exactly one window of each allocated pair is running: the
whole site is oversold at some instant exactly when the allocations of a declaration sum to more than 1,000,000.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exchange.errors import AllocationExceeded, InvalidCapacity, InvalidWindow
from exchange.windows import check_length

PPM = 1_000_000
MILLI = 1_000
MAX_TOKENS_PER_S = 10**9
MAX_WATTS = 10**10
MAX_MTOKENS_PER_JOULE = 10**8


@dataclass(frozen=True, slots=True)
class Allocation:
    """`ppm` of a site for all windows of one length of one product."""

    product_id: int
    window_seconds: int
    ppm: int


def sustained_tokens_per_s(*, watts: int, mtokens_per_joule: int, utilisation_ppm: int) -> int:
    """Contract tokens a second that a power supply sustains.

    floor(watts * mtokens_per_joule * utilisation_ppm / (1,000 * 1,000,000)); a watt is a joule a second, and
    an mtoken a thousandth of a contract token.
    Raises `InvalidCapacity` for a figure out of range, or a result of 0.
    """
    _require_within("watts", watts, MAX_WATTS)
    _require_within("mtokens_per_joule", mtokens_per_joule, MAX_MTOKENS_PER_JOULE)
    _require_within("utilisation_ppm", utilisation_ppm, PPM)
    return check_tokens_per_s(watts * mtokens_per_joule * utilisation_ppm // (MILLI * PPM))


def check_tokens_per_s(tokens_per_s: int) -> int:
    """`tokens_per_s`, if a site may have that capacity; otherwise `InvalidCapacity`."""
    _require_within("tokens_per_s", tokens_per_s, MAX_TOKENS_PER_S)
    return tokens_per_s


def validate_allocations(allocations: Sequence[Allocation]) -> None:
    """Refuse a declaration that repeats a pair, names a length that is not traded, or promises more than the site.

    Raises `InvalidCapacity` or `AllocationExceeded`.
    """
    seen: set[tuple[int, int]] = set()
    for allocation in allocations:
        _require_within("ppm", allocation.ppm, PPM)
        try:
            check_length(allocation.window_seconds)
        except InvalidWindow as error:
            raise InvalidCapacity(error.message, field="window_seconds", **error.fields) from None
        pair = (allocation.product_id, allocation.window_seconds)
        if pair in seen:
            raise InvalidCapacity(
                "A product and window length is allocated twice.",
                field="allocations",
                product_id=allocation.product_id,
                window_seconds=allocation.window_seconds,
            )
        seen.add(pair)
    total_ppm = sum(allocation.ppm for allocation in allocations)
    if total_ppm > PPM:
        raise AllocationExceeded(
            f"The allocations of overlapping windows come to {total_ppm} parts per million of the site.",
            total_ppm=total_ppm,
            limit_ppm=PPM,
        )


def window_capacity(tokens_per_s: int, ppm: int, window_seconds: int) -> int:
    """Contract tokens an allocation delivers in one window: floor(tokens_per_s * ppm * seconds / 1,000,000).

    Its negative is the floor of the provider's obligation account in the window's contract.
    """
    return tokens_per_s * ppm * window_seconds // PPM


def _require_within(field: str, value: int, maximum: int) -> None:
    if not 1 <= value <= maximum:
        raise InvalidCapacity(f"{field} must be from 1 to {maximum}.", field=field, value=value, maximum=maximum)
