"""Candles and daily statistics against a plain count over all fills, however far they are rolled up."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from exchange.market_data.intervals import Interval
from exchange.market_data.rollup import roll_up, roll_up_step
from exchange.models import Candle, CandleCursor, Contract, DecisionKind, Fill, FillReversal
from exchange.selectors.candles import CandlesView, get_statistics, list_candles
from tests.conftest import DatabaseUrls
from tests.integration.exchange.market import HOUR, LOT, NOW, START, Market
from tests.two_operators import decide

FAR = START + timedelta(days=3)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICK_MICROS = 10_000
STEPS = 90

Counted = dict[str, int]


@pytest.fixture
def far(market: Market) -> Contract:
    """A contract that trades for days."""
    contract = market.list_window(FAR)
    market.sweep()
    return contract


def count(fills: Sequence[Fill]) -> Counted:
    """What some fills, in their order, came to."""
    prices = [fill.price_ticks for fill in fills]
    notional, lots = sum(fill.notional for fill in fills), sum(fill.lots for fill in fills)
    ticks = sum(fill.lots * fill.price_ticks for fill in fills)
    return {
        "open": prices[0],
        "high": max(prices),
        "low": min(prices),
        "close": prices[-1],
        "lots": lots,
        "tokens": lots * LOT,
        "notional": notional,
        "trades": len(fills),
        "vwap": ticks * TICK_MICROS // lots,
    }


def standing_fills(contract: Contract) -> list[Fill]:
    taken_back = set(FillReversal.objects.values_list("fill_id", flat=True))
    fills = Fill.objects.filter(contract_id=contract.id).order_by("trade_no")
    return [fill for fill in fills if fill.id not in taken_back]


def expected_candles(contract: Contract, seconds: int) -> dict[datetime, Counted]:
    """Newest first."""
    buckets: dict[datetime, list[Fill]] = {}
    for fill in standing_fills(contract):
        number = (fill.executed_at - EPOCH) // timedelta(seconds=seconds)
        buckets.setdefault(EPOCH + number * timedelta(seconds=seconds), []).append(fill)
    return {starts_at: count(buckets[starts_at]) for starts_at in sorted(buckets, reverse=True)}


def figures(view: Any) -> Counted:
    return {
        "open": view.open_ticks,
        "high": view.high_ticks,
        "low": view.low_ticks,
        "close": view.close_ticks,
        "lots": view.lots,
        "tokens": view.tokens,
        "notional": view.notional_micros,
        "trades": view.trades,
        "vwap": view.vwap_micros,
    }


def check_everything_shown(contract: Contract, now: datetime) -> None:
    for interval in Interval:
        expected = expected_candles(contract, interval.seconds)
        shown = list_candles(contract.symbol, interval, limit=1_000)
        assert {each.starts_at: figures(each) for each in shown.candles} == expected
        assert [each.starts_at for each in shown.candles] == list(expected)
        assert all((each.ends_at - each.starts_at).total_seconds() == interval.seconds for each in shown.candles)
    statistics = get_statistics(contract.symbol, now)
    recent = [fill for fill in standing_fills(contract) if fill.executed_at >= now - timedelta(days=1)]
    if not recent:
        assert statistics.figures is None
    else:
        assert statistics.figures is not None
        assert figures(statistics.figures) == count(recent)


def check_everything_stored(contract: Contract) -> None:
    stored = {
        (row.seconds, row.starts_at): (row.open_ticks, row.close_ticks, row.high_ticks, row.low_ticks, row.lots)
        for row in Candle.objects.filter(contract_id=contract.id)
    }
    assert stored == {
        (interval.seconds, starts_at): tuple(each[name] for name in ("open", "close", "high", "low", "lots"))
        for interval in Interval
        for starts_at, each in expected_candles(contract, interval.seconds).items()
    }
    call_command("rebuild_candles", check=True, stdout=io.StringIO())


def take_back(market: Market, fill: Fill) -> None:
    (result,) = market.results(decide(DecisionKind.BUST_FILL, str(fill.id), now=market.clock.at))
    assert result["status"] == "accepted", result


def trade(market: Market, contract: Contract, dice: random.Random, buyers: Sequence[Any]) -> None:
    """A few trades in one batch, at several prices."""
    start = contract.delivery_start
    for _ in range(dice.randint(1, 2)):
        market.offer(dice.randint(1, 2), dice.randint(380, 440), start)
    for _ in range(dice.randint(1, 3)):
        market.submit_buy(dice.choice(buyers), 1, dice.randint(390, 450), symbol=contract.symbol)
    market.results([])


def test_candles_and_statistics_are_what_a_count_over_all_fills_says(market: Market, far: Contract) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    buyers = [market.party(f"buyer-{each}", micros=10_000_000_000) for each in range(2)]
    for _ in range(STEPS):
        match dice.randrange(8):
            case 0 | 1 | 2:
                trade(market, far, dice, buyers)
            case 3:
                market.clock.at += timedelta(seconds=dice.choice((1, 20, 59, 60, 600, HOUR, 5 * HOUR)))
            case 4 | 5:
                roll_up_step(fills=dice.randint(1, 9), reversals=dice.randint(1, 2))
            case 6:
                if standing := standing_fills(far):
                    take_back(market, dice.choice(standing))
            case _:
                check_everything_shown(far, market.clock.at)
    assert Fill.objects.filter(contract_id=far.id).exists()
    check_everything_shown(far, market.clock.at)
    roll_up()
    check_everything_shown(far, market.clock.at)
    check_everything_stored(far)
    (result,) = market.results(decide(DecisionKind.CANCEL_CONTRACT, far.symbol, now=market.clock.at))
    assert result["status"] == "accepted", result
    check_everything_shown(far, market.clock.at)
    roll_up()
    assert not Candle.objects.filter(contract_id=far.id).exists()


def test_candles_come_in_pages_and_by_their_start(market: Market, far: Contract) -> None:
    buyer = market.party("buyer-1")
    market.offer(8, 400, FAR)
    for minute in range(6):
        market.clock.at = NOW + timedelta(minutes=minute, seconds=30)
        market.buy(buyer, 1, 400, symbol=far.symbol)
        if minute == 3:
            roll_up()  # two are in the tail
    everything = page_through(far)
    assert everything == [NOW + timedelta(minutes=minute) for minute in reversed(range(6))]
    some = list_candles(
        far.symbol,
        Interval.MINUTE,
        since=NOW + timedelta(minutes=1),
        before=NOW + timedelta(minutes=4),
        limit=10,
    )
    assert [each.starts_at for each in some.candles] == everything[2:5]
    between = list_candles(far.symbol, Interval.MINUTE, since=NOW + timedelta(minutes=1, seconds=1), limit=10)
    assert [each.starts_at for each in between.candles] == everything[:4]
    for fill in Fill.objects.filter(trade_no__in=(2, 3)):
        take_back(market, fill)
    assert page_through(far) == [each for each in everything if each.minute not in (1, 2)]


def page_through(contract: Contract) -> list[datetime]:
    """All 1-minute candles, two at a time."""
    found: list[datetime] = []
    page: CandlesView = list_candles(contract.symbol, Interval.MINUTE, limit=2)
    while True:
        found += [each.starts_at for each in page.candles]
        if page.next_before is None:
            return found
        page = list_candles(contract.symbol, Interval.MINUTE, before=page.next_before, limit=2)


def test_a_rebuild_finds_and_mends_what_was_changed(market: Market, far: Contract) -> None:
    buyer = market.party("buyer-1")
    market.offer(3, 400, FAR)
    market.buy(buyer, 1, 400, symbol=far.symbol)
    market.buy(buyer, 1, 400, symbol=far.symbol)
    roll_up()
    Candle.objects.filter(seconds=60).update(lots=5)
    Candle.objects.filter(seconds=3_600).delete()
    Candle.objects.filter(seconds=300).update(starts_at=NOW + timedelta(hours=1))
    output = io.StringIO()
    with pytest.raises(CommandError, match=r"^4 candles differ from the fills\.$"):
        call_command("rebuild_candles", check=True, stdout=output)
    assert output.getvalue() == f"{far.symbol}: 4 candles differ\n"
    with pytest.raises(CommandError):  # a check changes nothing
        call_command("rebuild_candles", check=True, stdout=output)
    call_command("rebuild_candles", stdout=output)
    check_everything_stored(far)


def test_one_process_rolls_up_at_a_time_and_a_failed_step_counts_nothing(
    market: Market, far: Contract, database: DatabaseUrls
) -> None:
    market.offer(1, 400, FAR)
    market.buy(market.party("buyer-1"), 1, 400, symbol=far.symbol)
    with psycopg.connect(database.app_url) as other:
        other.execute("SELECT FROM exchange_candlecursor FOR UPDATE")
        assert roll_up() == 0
    with pytest.raises(RuntimeError):
        _roll_up_and_fail()
    assert not Candle.objects.exists()
    assert CandleCursor.objects.get().fill_id == 0
    assert roll_up() == 1
    assert roll_up() == 0
    check_everything_stored(far)


@transaction.atomic
def _roll_up_and_fail() -> None:
    assert roll_up_step() == 1
    raise RuntimeError
