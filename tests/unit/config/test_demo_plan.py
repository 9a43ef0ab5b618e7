"""Forecast, supply, assignment and arrivals: the pure parts of the demo's day."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from config.catalogue import BUYERS, MODELS, PROVIDERS, meter_code
from config.demo.assignment import Holding, NobodyBought, Use, assign
from config.demo.forecast import by_window, forecast, plan_supply
from config.demo.generated import generate_trace
from config.demo.usage import plan_arrivals, usage_event
from settlement.metering.envelope import parse_event
from settlement.metering.families import extract

TRACE = generate_trace(5, scale_percent=30)
WINDOWS = by_window(TRACE.requests)
WANTS = forecast(WINDOWS, BUYERS, MODELS, lot_tokens=TRACE.lot_tokens, seed=5)


def holdings() -> list[Holding]:
    """Every want bought of the first two providers of its product, half and half."""
    found = []
    for want in WANTS:
        sellers = [provider.code for provider in PROVIDERS if want.product in provider.weights][:2]
        for seller in sellers:
            symbol = f"{want.product}@{want.window.start:%Y%m%dT%H%M}/10MIN"
            found.append(Holding(symbol, want.window, want.buyer, seller, want.lots * TRACE.lot_tokens // 2))
    return found


def uses(seed: int = 5) -> list[Use]:
    return list(assign(WINDOWS, holdings(), BUYERS, seed=seed))


def test_every_request_falls_into_its_window() -> None:
    assert sum(map(len, WINDOWS.values())) == len(TRACE.requests)
    assert all(window.contains(request.at) for window, requests in WINDOWS.items() for request in requests)
    assert all(window.seconds == 600 for window in WINDOWS)


def test_an_empty_window_in_between_stays_in_the_range() -> None:
    requests = [TRACE.requests[0], TRACE.requests[-1]]
    found = by_window(requests)
    assert len(found) == len(WINDOWS)
    assert [len(each) for each in found.values()] == [1] + [0] * (len(found) - 2) + [1]


def test_forecasts_miss_in_both_directions_but_not_by_much() -> None:
    wanted: Counter[str] = Counter()
    for want in WANTS:
        wanted[want.product] += want.lots * TRACE.lot_tokens
    for code, model in MODELS.items():
        share = sum(buyer.share for buyer in BUYERS if buyer.product == code)
        whole = sum(model.weigh(r.input_tokens, r.cached_tokens, r.output_tokens) for r in TRACE.requests) // 1000
        used = whole * share // sum(buyer.share for buyer in BUYERS)
        assert 0.7 * used < wanted[code] < 1.4 * used


def test_a_window_with_a_single_request_is_traded_too() -> None:
    windows = by_window(TRACE.requests[:1])
    (want,) = forecast(windows, BUYERS, MODELS, lot_tokens=TRACE.lot_tokens, seed=1)
    assert want.lots == 1


def test_supply_covers_the_busiest_window_of_each_product() -> None:
    offered: Counter[str] = Counter()
    for supply in plan_supply(WANTS, PROVIDERS, MODELS):
        offered[supply.product] += supply.lots
        assert supply.price_ticks < MODELS[supply.product].list_price_ticks
    wanted: defaultdict[tuple[str, object], int] = defaultdict(int)
    for want in WANTS:
        wanted[want.product, want.window] += want.lots
    assert all(lots * 1.5 <= offered[product] for (product, _), lots in wanted.items())


def test_every_request_goes_to_a_position_of_its_window_by_a_seeded_rule() -> None:
    assigned = uses()
    assert [use.request for use in assigned] == list(TRACE.requests)
    assert all(use.holding.window.contains(use.request.at) for use in assigned)
    assert assigned == uses()
    assert assigned != uses(seed=6)
    refused = sum(use.refused for use in assigned)
    assert 0.01 < refused / len(assigned) < 0.03


def test_some_buyers_use_more_than_they_bought_and_some_less() -> None:
    bought: Counter[tuple[str, str]] = Counter()
    used: Counter[tuple[str, str]] = Counter()
    for holding in holdings():
        bought[holding.symbol, holding.buyer] += holding.tokens * 1000
    for use in uses():
        model = MODELS[use.holding.symbol.partition("@")[0]]
        request = use.request
        used[use.holding.symbol, use.holding.buyer] += model.weigh(
            request.input_tokens, request.cached_tokens, request.output_tokens
        )
    more = sum(used[key] > bought[key] for key in bought)
    assert 0.1 < more / len(bought) < 0.9


def test_requests_in_a_window_that_nobody_bought_are_an_error() -> None:
    with pytest.raises(NobodyBought):
        list(assign(WINDOWS, [], BUYERS, seed=1))


def test_each_request_is_reported_by_both_sides_some_twice_and_some_late() -> None:
    assigned = uses()
    arrivals = plan_arrivals(assigned, WINDOWS, seed=5)
    own_place = {str(use.request.number): list(WINDOWS).index(use.holding.window) for use in assigned}
    seen: Counter[tuple[str, str]] = Counter()
    late = 0
    for place, arrival in enumerate(arrivals):
        for party, events in arrival.events.items():
            for event in events:
                assert event["source"] == meter_code(party)
                late += (party, event["id"]) not in seen and place > own_place[event["id"]]
                seen[party, event["id"]] += 1
    assert len(seen) == 2 * len(assigned)
    assert set(seen.values()) == {1, 2}
    twice = sum(count == 2 for count in seen.values())
    assert 0.005 < twice / len(seen) < 0.02
    assert 0.005 < late / len(seen) < 0.02
    assert sum(arrival.count for arrival in arrivals) == len(seen) + twice


def test_an_event_carries_the_requests_tokens_even_when_refused() -> None:
    assigned = uses()
    for use in (next(use for use in assigned if use.refused), next(use for use in assigned if not use.refused)):
        report = parse_event(usage_event(use, use.holding.buyer))
        extraction = extract(report.family, report.usage)
        assert extraction.reason is None
        assert extraction.buckets.input_tokens == use.request.input_tokens
        assert extraction.buckets.output_tokens == use.request.output_tokens
        assert (report.refusal is not None) == use.refused
        assert report.accepted_at == use.request.at
