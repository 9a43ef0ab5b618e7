"""Random positions with everything that a product's terms may ask for: service, make-up, disputes, force majeure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from settlement.calculation import MinuteUse, PositionInput, PositionTerms
from settlement.make_up import MakeUp
from settlement.sla import ServiceFigures, SlaRule
from settlement.splits import WHOLE_PPM, Recipient, Share, ShareSchedule

START = datetime(2026, 12, 1, 14, tzinfo=UTC)
_permille = st.integers(0, 1000)
_minute = st.integers(0, 8).map(lambda minutes: START + timedelta(minutes=minutes))


@st.composite
def schedules(draw: st.DrawFn) -> ShareSchedule:
    cuts = sorted(draw(st.lists(st.integers(0, WHOLE_PPM), max_size=4)))
    weights = [high - low for low, high in zip([0, *cuts], [*cuts, WHOLE_PPM], strict=True)]
    recipients = draw(st.lists(st.sampled_from(Recipient), min_size=len(weights), max_size=len(weights)))
    return ShareSchedule(
        version=1,
        shares=tuple(
            Share(f"share-{i}", weight, recipient, 30 + i if recipient is Recipient.PARTY else None)
            for i, (weight, recipient) in enumerate(zip(weights, recipients, strict=True))
        ),
    )


@st.composite
def terms(draw: st.DrawFn) -> PositionTerms:
    """Terms without service and make-up."""
    return PositionTerms(
        window_seconds=draw(st.sampled_from([600, 3600, 86_400])),
        max_request_tokens=draw(st.integers(0, 50_000)),
        burst_permille=draw(st.integers(1000, 3000)),
        take_or_pay_permille=draw(_permille),
        damages_permille=draw(st.integers(0, 2000)),
        buyer_fee_ppm=draw(st.integers(0, 50_000)),
        schedule=draw(schedules()),
    )


def uses(most: int = 300_000_000) -> st.SearchStrategy[tuple[MinuteUse, ...]]:
    figures = st.lists(st.tuples(st.integers(0, most), st.integers(0, most)), max_size=5)
    return figures.map(lambda rows: tuple(MinuteUse(START + timedelta(minutes=i), *row) for i, row in enumerate(rows)))


@st.composite
def positions(draw: st.DrawFn) -> PositionInput:
    """Positions of which nothing is disputed, judged or made up."""
    notional = draw(st.integers(1, 10**10))
    return PositionInput(
        tokens=draw(st.integers(1, 1_000_000)),
        notional_micros=notional,
        provider_fee_picos=draw(st.integers(0, notional * 50_000)),
        minutes=draw(uses()),
        reference_price_micros=draw(st.integers(0, 10**8)),
        bond_micros=draw(st.integers(0, 10**10)),
        overage_cap_tokens=draw(st.integers(0, 500_000)),
        overage_hold_micros=draw(st.integers(0, 10**9)),
        force_majeure=draw(st.booleans()),
    )


@st.composite
def rules(draw: st.DrawFn) -> SlaRule:
    return SlaRule(
        ttft_p95_ms=draw(st.integers(0, 2000)),
        output_tokens_per_s=draw(st.integers(0, 200)),
        availability_ppm=draw(st.integers(900_000, 1_000_000)),
        ttft_permille=draw(_permille),
        speed_permille=draw(_permille),
        availability_permille=draw(_permille),
        cap_permille=draw(_permille),
        min_requests=draw(st.integers(0, 20)),
    )


@st.composite
def services(draw: st.DrawFn) -> ServiceFigures:
    timed = draw(st.integers(0, 30))
    return ServiceFigures(
        timed_requests=timed,
        ttft_p95_ms=draw(st.integers(0, 4000)) if timed else None,
        output_tokens=draw(st.integers(0, 10**6)),
        output_ms=draw(st.integers(0, 10**7)),
        served=draw(st.integers(0, 1000)),
        failed=draw(st.integers(0, 50)),
    )


@st.composite
def credits(draw: st.DrawFn) -> tuple[MakeUp, ...]:
    parts = draw(
        st.lists(
            st.tuples(st.integers(0, 100_000), st.integers(0, 10**9), st.integers(1, 10**6), _permille), max_size=3
        )
    )
    return tuple(MakeUp(f"C@{number}", *part) for number, part in enumerate(parts))


@st.composite
def full_terms(draw: st.DrawFn) -> PositionTerms:
    return replace(draw(terms()), sla=draw(st.none() | rules()), make_up_permille=draw(_permille))


@st.composite
def full_positions(draw: st.DrawFn) -> PositionInput:
    spans = draw(st.lists(st.tuples(_minute, _minute).filter(lambda span: span[0] < span[1]), max_size=2))
    return replace(
        draw(positions()),
        ended_at=draw(st.none() | _minute),
        disputed_millitokens=draw(st.just(0) | st.integers(0, 10**9)),
        service=draw(st.none() | services()),
        make_up=draw(credits()),
        force_majeure_spans=tuple(spans),
    )
