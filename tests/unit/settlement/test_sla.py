from __future__ import annotations

import random
from dataclasses import replace
from math import ceil

import pytest

from settlement.errors import InvalidPosition
from settlement.sla import ServiceFigures, SlaRule, judge_service, nearest_rank

RULE = SlaRule(
    ttft_p95_ms=800,
    output_tokens_per_s=50,
    availability_ppm=990_000,
    ttft_permille=50,
    speed_permille=70,
    availability_permille=100,
    cap_permille=1000,
    min_requests=20,
)
KEPT = ServiceFigures(timed_requests=20, ttft_p95_ms=800, output_tokens=500, output_ms=10_000, served=99, failed=1)


def judged(rule: SlaRule = RULE, **changes: int | None) -> tuple[tuple[str, ...], int]:
    verdict = judge_service(rule, replace(KEPT, **changes))  # type: ignore[arg-type]
    return verdict.missed, verdict.permille


def test_what_is_just_kept_is_kept_and_a_hair_worse_is_missed() -> None:
    assert judged() == ((), 0)
    assert judged(ttft_p95_ms=801) == (("ttft",), 50)
    assert judged(output_tokens=499) == (("speed",), 70)
    assert judged(output_ms=10_001) == (("speed",), 70)
    assert judged(served=98, failed=1) == (("availability",), 100)  # 98.99 %


def test_misses_add_up_to_the_cap() -> None:
    for cap, off in ((1_000, 220), (120, 120), (0, 0)):
        rule = replace(RULE, cap_permille=cap)
        missed = judged(rule, ttft_p95_ms=9_000, output_tokens=1, served=0, failed=20)
        assert missed == (("ttft", "speed", "availability"), off)


def test_too_few_requests_judge_nothing() -> None:
    assert judged(timed_requests=19, ttft_p95_ms=9_000, output_tokens=0) == ((), 0)
    assert judged(served=0, failed=19) == ((), 0)
    assert judged(timed_requests=19, ttft_p95_ms=9_000, served=10, failed=10) == (("availability",), 100)


def test_without_any_request_nothing_is_missed() -> None:
    nothing = ServiceFigures(0, None, 0, 0, 0, 0)
    assert judge_service(replace(RULE, min_requests=0), nothing).missed == ()


def test_output_in_no_time_is_not_slow() -> None:
    assert judged(output_tokens=0, output_ms=0) == ((), 0)  # one token an answer: there is nothing after the first


def test_the_nearest_rank_is_the_least_value_that_enough_do_not_exceed() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(200):
        values = [rng.randrange(1_000) for _ in range(rng.randrange(1, 60))]
        percent = rng.randrange(1, 101)
        enough = ceil(len(values) * percent / 100)
        expected = min(value for value in values if sum(other <= value for other in values) >= enough)
        assert nearest_rank(values, percent) == expected, (values, percent)
    assert nearest_rank([], 95) is None
    assert nearest_rank([7], 95) == 7


@pytest.mark.parametrize(
    "change",
    [
        {"ttft_p95_ms": -1},
        {"cap_permille": 1_001},
        {"availability_permille": 1_001},
        {"availability_ppm": 1_000_001},
        {"min_requests": -1},
    ],
)
def test_impossible_rules_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(InvalidPosition) as refused:
        replace(RULE, **change)
    assert refused.value.fields["field"] == f"sla.{next(iter(change))}"


def test_impossible_figures_are_refused() -> None:
    with pytest.raises(InvalidPosition):
        replace(KEPT, failed=-1)
