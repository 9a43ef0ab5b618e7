"""Forecast, supply, assignment and arrivals: the pure parts of the demo's day."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from config.catalogue import BUYERS, MODELS, PROVIDERS, meter_code
from config.demo.assignment import Holding, NobodyBought, Use, assign
from config.demo.faults import FAULTY_PROVIDER, Told, inject
from config.demo.forecast import by_window, forecast, plan_supply
from config.demo.generated import generate_trace
from config.demo.honest import Registers, use_by_minute
from config.demo.usage import Arrival, end_event, plan_arrivals, watermark_event
from settlement.metering.completeness_rules import watermark_root
from settlement.metering.decode import Report, WatermarkReport, decode_event
from settlement.metering.events import COMPLETED_TYPE, REFUSED_TYPE, STARTED_TYPE, WATERMARK_TYPE
from settlement.metering.families import extract
from settlement.metering.weights import plain_weights

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


def told(seed: int = 5) -> list[Told]:
    return list(inject(uses(seed), seed=seed))


def ends(arrival: Arrival) -> Iterator[tuple[str, dict[str, Any]]]:
    """The ends of requests in an arrival, with whose meter tells them."""
    for party, events in arrival.events.items():
        for event in events:
            assert event["source"] == meter_code(party)
            if event["type"] in (COMPLETED_TYPE, REFUSED_TYPE):
                yield party, event


def test_each_end_is_reported_by_both_sides_some_twice_and_some_late() -> None:
    requests = told()
    plan = plan_arrivals(requests, WINDOWS, seed=5)
    own_place = {str(each.use.request.number): list(WINDOWS).index(each.use.holding.window) for each in requests}
    seen: Counter[tuple[str, str]] = Counter()
    late = 0
    for place, arrival in enumerate(plan.arrivals):
        for party, event in ends(arrival):
            late += (party, event["id"]) not in seen and place > own_place[event["id"]]
            seen[party, event["id"]] += 1
    lost = sum(bool(each.lost_by) for each in requests)
    assert len(seen) == 2 * len(requests) - lost
    assert set(seen.values()) == {1, 2}
    twice = sum(count == 2 for count in seen.values())
    assert 0.005 < twice / len(seen) < 0.02
    assert 0.005 < late / len(seen) < 0.02
    assert (plan.duplicates, plan.late) == (twice, late)


def test_whoever_loses_an_end_has_told_its_start() -> None:
    requests = told()
    arrivals = plan_arrivals(requests, WINDOWS, seed=5).arrivals
    events = [(party, event) for arrival in arrivals for party, events in arrival.events.items() for event in events]
    started = {(party, event["data"]["request_id"]) for party, event in events if event["type"] == STARTED_TYPE}
    ended = {(party, event["data"]["request_id"]) for arrival in arrivals for party, event in ends(arrival)}
    assert started - ended == {(each.lost_by, each.request_id) for each in requests if each.lost_by}
    assert ended < started
    assert 0.002 < len(started - ended) / len(requests) < 0.01
    by_side = Counter(each.lost_by == each.use.holding.buyer for each in requests if each.lost_by)
    assert abs(by_side[True] - by_side[False]) <= 1


def test_watermarks_say_what_was_sent_of_each_contract() -> None:
    arrivals = plan_arrivals(told(), WINDOWS, seed=5).arrivals
    sent: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    marks = {}
    for arrival in arrivals:
        for events in arrival.events.values():
            for event in events:
                key = event["source"], event["data"]["contract"]
                if event["type"] == WATERMARK_TYPE:
                    marks[key] = event["data"]
                else:
                    assert key not in marks or event["id"] in sent[key]  # a duplicate may follow, nothing new
                    sent[key].add(event["id"])
    assert marks.keys() == sent.keys()
    for key, ids in sent.items():
        assert marks[key]["events"] == len(ids)
        assert marks[key]["root"] == watermark_root(ids).hex()
    window = next(iter(WINDOWS))
    event = watermark_event("acorn", "any contract", window, {"one", "two"})
    report = decode_event(msgspec.json.encode(event))
    assert isinstance(report, WatermarkReport)
    assert (report.sequence, report.up_to, report.events) == (1, window.end, 2)


def test_one_provider_adds_a_little_to_much_and_much_to_reasoning() -> None:
    requests = told()
    assert requests == told()
    faulty = [each for each in requests if each.use.holding.provider == FAULTY_PROVIDER and not each.use.refused]
    others = [each for each in requests if each not in faulty]
    assert not any(each.shaved_tokens or each.inflated_tokens for each in others)
    kept = [each for each in faulty if not each.lost_by]
    plain = [each for each in kept if not each.reasoning_tokens]
    output = sum(each.use.request.output_tokens for each in plain)
    assert sum(each.shaved_tokens for each in plain) == output * 3 // 1000
    reasoned = [each for each in kept if each.reasoning_tokens]
    assert all(each.inflated_tokens == each.reasoning_tokens // 2 for each in reasoned)
    assert 0.15 < sum(bool(each.reasoning_tokens) for each in requests) / len(requests) < 0.25


def test_both_meters_tell_the_tokens_as_they_count_them_even_of_refused_requests() -> None:
    requests = told()
    wanted: list[Callable[[Told], object]] = [
        lambda each: each.use.refused,
        lambda each: each.shaved_tokens,
        lambda each: each.inflated_tokens,
        lambda each: not each.use.refused and each.use.holding.provider != FAULTY_PROVIDER,
    ]
    for want in wanted:
        each = next(each for each in requests if want(each))
        holding = each.use.holding
        for party, buckets in ((holding.buyer, each.honest), (holding.provider, each.by_provider)):
            report = decode_event(msgspec.json.encode(end_event(each, party)))
            assert isinstance(report, Report)
            extraction = extract(report.family, report.usage)
            assert extraction.reason is None
            assert extraction.buckets == buckets
            assert (report.refusal is not None) == each.use.refused
            assert report.accepted_at == each.use.request.at
        assert each.honest.input_tokens == each.use.request.input_tokens
        assert each.honest.output_tokens == each.use.request.output_tokens


def test_honest_use_is_what_the_trace_says_and_shaving_shows_in_the_register() -> None:
    requests = told()
    weights = plain_weights(input_milli=1_000, cache_read_milli=100, output_milli=4_000)
    honest, tolerated = (
        sum(
            minute.delivered_millitokens
            for minute in use_by_minute(requests, weights, refused_output_tokens=256, tolerant=tolerant)
        )
        for tolerant in (False, True)
    )
    served = [each.use.request for each in requests if not each.use.refused]
    assert honest == sum(1_000 * each.input_tokens + 4_000 * each.output_tokens for each in served)
    inside = sum(each.shaved_tokens for each in requests if each.shaved_tokens == 1)
    assert tolerated >= honest + 4_000 * inside
    registers = Registers()
    for each in requests:
        registers.enter(each)
    (sold,) = (provider.weights for provider in PROVIDERS if provider.code == FAULTY_PROVIDER)
    assert registers.leaning()
    assert all(product in sold for _, product in registers.leaning())
