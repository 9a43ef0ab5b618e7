"""Whether a provider kept the service class of a position, and what the misses take off the price. Pure.

Judged by what the meters measured of the position's requests: the gateway's figure of a request, else the provider's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from settlement.errors import InvalidPosition

PERMILLE = 1000
PPM = 1_000_000

TTFT, SPEED, AVAILABILITY = "ttft", "speed", "availability"


@dataclass(frozen=True, slots=True)
class SlaRule:
    """What was promised, and what each missed measure takes off, in permille of the price of delivered tokens.

    `output_tokens_per_s` is how fast output follows after the first token; `availability_ppm` the part of requests to
    be served. All misses together take off at most `cap_permille`. A measure that fewer than `min_requests` requests
    tell is not judged.
    """

    ttft_p95_ms: int
    output_tokens_per_s: int
    availability_ppm: int
    ttft_permille: int
    speed_permille: int
    availability_permille: int
    cap_permille: int
    min_requests: int

    def __post_init__(self) -> None:
        _require_counts(self, "sla")
        for name in ("ttft_permille", "speed_permille", "availability_permille", "cap_permille"):
            _require(getattr(self, name) <= PERMILLE, f"sla.{name}")
        _require(self.availability_ppm <= PPM, "sla.availability_ppm")


@dataclass(frozen=True, slots=True)
class ServiceFigures:
    """How a position's requests were served.

    `timed_requests` are the delivered requests that tell both the time to their first token and that from there to the
    last. `ttft_p95_ms` is their 95th percentile by nearest rank, None if there are none; `output_tokens` are their raw
    output tokens, reasoning included, and `output_ms` the sum of the times these took. `served` counts delivered
    requests, `failed` counted refusals for capacity or failure.
    """

    timed_requests: int
    ttft_p95_ms: int | None
    output_tokens: int
    output_ms: int
    served: int
    failed: int

    def __post_init__(self) -> None:
        _require_counts(self, "service")


@dataclass(frozen=True, slots=True)
class SlaVerdict:
    """The measures missed, in the order `ttft`, `speed`, `availability`, and what they take off together."""

    missed: tuple[str, ...] = ()
    permille: int = 0


NOTHING_MISSED = SlaVerdict()


def judge_service(rule: SlaRule, figures: ServiceFigures) -> SlaVerdict:
    """Which measures a position's requests missed, and the permille off its delivered tokens."""
    missed: dict[str, int] = {}
    if figures.timed_requests >= rule.min_requests:
        if figures.ttft_p95_ms is not None and figures.ttft_p95_ms > rule.ttft_p95_ms:
            missed[TTFT] = rule.ttft_permille
        if figures.output_tokens * 1000 < rule.output_tokens_per_s * figures.output_ms:
            missed[SPEED] = rule.speed_permille
    asked = figures.served + figures.failed
    if asked >= rule.min_requests and figures.served * PPM < rule.availability_ppm * asked:
        missed[AVAILABILITY] = rule.availability_permille
    return SlaVerdict(tuple(missed), min(rule.cap_permille, sum(missed.values()))) if missed else NOTHING_MISSED


def nearest_rank(values: Sequence[int], percent: int) -> int | None:
    """The smallest of the values that `percent` per cent of them do not exceed; None of no values.

    It is a value that was measured, not one between two: the same as PostgreSQL's `percentile_disc`.
    """
    if not values:
        return None
    rank = -(-len(values) * percent // 100)
    return sorted(values)[max(rank, 1) - 1]


def _require_counts(owner: SlaRule | ServiceFigures, name: str) -> None:
    for part in fields(owner):
        value = getattr(owner, part.name)
        _require(value is None or value >= 0, f"{name}.{part.name}")


def _require(holds: bool, field: str) -> None:
    if not holds:
        raise InvalidPosition(f"{field} is out of range.", field=field)
