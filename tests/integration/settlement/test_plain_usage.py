"""Usage summed in the database against the same usage reconciled record by record: the identical value, whatever the
meters say."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from settlement.commands.register_meter import RegisterMeter, register_meter
from settlement.market import load_contracts
from settlement.metering.pair_figures import PairEvents, PairFigures, pair_figures
from settlement.metering.pair_rules import ContractRules, load_rules
from settlement.metering.plain_usage import MeteredContract, read_figures
from settlement.metering.records import COUNTING_REASONS, CaseKind, Decided, Ruling
from settlement.metering.usage_records import read_pairs, usage_since
from settlement.metering.weights import parse_weights
from settlement.models import EventKind, MeterSide
from tests.integration.settlement.trading_day import NOW, START, TradingDay
from tests.integration.settlement.usage_rows import LATER, UsageRows

THROUGH = 2**40
SIDES = ("meter/provider-1", "meter/buyer-1", "meter/gateway", "meter/provider-1b")
REASONS = [*sorted(reason.value for reason in COUNTING_REASONS), "invalid"]


def both_ways(
    day: TradingDay, rules: ContractRules, through: int = THROUGH
) -> tuple[dict[tuple[int, int, int], PairFigures], dict[tuple[int, int, int], PairFigures]]:
    """The figures of the day's contract by `read_figures`, and from all records of `read_pairs`."""
    contract, weights = day.contract, parse_weights(rules.contract.terms.weights)
    asked = MeteredContract(contract.id, weights, True, rules.completeness.complete_buyers(), rules.of_pair)
    summed = read_figures({contract.id: asked}, since=usage_since(contract.delivery_start), through=through)
    reconciled = {}
    for usage in read_pairs(contract, through=through):
        reconciled[contract.id, usage.buyer_id, usage.provider_id] = pair_figures(
            usage.records,
            PairEvents(usage.events, usage.digest, usage.signed, usage.corrections),
            weights=weights,
            rules=rules.of_pair(usage.buyer_id, usage.provider_id),
            timed=True,
        )
    return summed, reconciled


def random_usage(rows: UsageRows, rng: random.Random, *, aggregates: bool) -> None:
    """What careful and careless meters report of three pairs."""
    for number in range(rng.randint(1, 40)):
        buyer, provider = rng.choice([("buyer-1", "provider-1"), ("buyer-2", "provider-1"), ("buyer-1", "provider-2")])
        request = f"r{number if rng.random() < 0.9 else number // 2}"
        at = START + timedelta(seconds=rng.randint(0, 400))
        tokens = {"input_uncached": rng.randint(0, 3_000), "output_visible": rng.choice([0, 5, 900])}
        careful = rng.random() < 0.6
        sides = SIDES[:2] if careful else rng.sample(SIDES, rng.randint(1, 4))
        for side in sides:
            meter = side.replace("buyer-1", buyer).replace("provider-1", provider) if "1b" not in side else side
            said = tokens if careful or rng.random() < 0.5 else tokens | {"output_visible": rng.randint(0, 1_000)}
            timing = {"ttft_ms": rng.randint(0, 900), "output_ms": rng.randint(0, 9_000)} if rng.random() < 0.7 else {}
            kind = EventKind.COMPLETED
            columns: dict[str, Any] = said | timing
            if not careful:
                kind = rng.choice([EventKind.COMPLETED, EventKind.COMPLETED, EventKind.STARTED, EventKind.REFUSED])
                if kind is EventKind.REFUSED:
                    columns = {"millitokens": rng.randint(0, 9), "refusal_reason": rng.choice(REASONS)}
                elif kind is EventKind.STARTED:
                    columns = {}
                if kind is not EventKind.STARTED and rng.random() < 0.3:
                    columns |= {"retry_of": f"r{rng.randint(0, 40)}"}
            moment = at if careful else at + timedelta(milliseconds=rng.randint(-90_000, 90_000))
            event = rows.keep(
                meter, request, kind=kind, at=max(moment, START), buyer=buyer, provider=provider, **columns
            )
            if rng.random() < 0.1:
                rows.sign(event)
            if rng.random() < 0.1:
                again = rng.choice([EventKind.VOID, EventKind.COMPLETED])
                more: dict[str, Any] = said if again is EventKind.COMPLETED else {}
                rows.keep(
                    meter, request, kind=again, at=at, buyer=buyer, provider=provider, replaces=event.event_id, **more
                )
    if aggregates:
        rows.keep(
            SIDES[0],
            "",
            kind=EventKind.AGGREGATE,
            at=START + timedelta(minutes=1),
            requests=3,
            records_root=bytes(32),
            output_visible=1_000,
        )


@pytest.fixture
def rows(day: TradingDay) -> UsageRows:
    """With a gateway, and a second meter of a provider."""
    day.clock.at = LATER
    for party, code, side in (
        ("house", "meter/gateway", MeterSide.GATEWAY),
        ("provider-1", "meter/provider-1b", MeterSide.PROVIDER),
    ):
        register_meter(RegisterMeter(day.parties[party].id, code, side), actor="tests", now=NOW)
    return UsageRows(day)


@pytest.mark.parametrize("seed", range(12))
def test_summed_usage_is_what_reconciling_every_record_gives(day: TradingDay, rows: UsageRows, seed: int) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    random_usage(rows, rng, aggregates=seed % 4 == 3)
    if seed % 2:
        rows.watermark("meter/buyer-1")
    rules = load_rules(load_contracts([day.contract.id])[day.contract.id])
    pair = (day.parties["buyer-1"].id, day.parties["provider-1"].id)
    if seed % 3 == 0:
        decided = {kind: Decided(rng.choice(list(Ruling)), day.clock.at) for kind in CaseKind}
        rules = replace(rules, rulings={pair: decided}, zeroed=frozenset({pair}))

    summed, reconciled = both_ways(day, rules)

    assert summed == reconciled
    assert sum(figures.requests for figures in summed.values())


def test_usage_of_later_calls_is_left_out(day: TradingDay, rows: UsageRows) -> None:
    rows.both("a", 100, 100)
    rows.both("b", 50, 40)
    before = both_ways(day, load_rules(load_contracts([day.contract.id])[day.contract.id], through=4), 4)
    rows.both("c", 7, 7)
    event = rows.keep(SIDES[0], "d", output_visible=5)
    rows.keep(SIDES[0], "d", output_visible=6, replaces=event.event_id)
    rows.watermark("meter/buyer-1")

    after = both_ways(day, load_rules(load_contracts([day.contract.id])[day.contract.id], through=4), 4)

    assert after == before
    assert before[0] == before[1]
