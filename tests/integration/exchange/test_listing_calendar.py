"""The rolling calendar: rules list windows ahead, once, aligned, and never behind their gate."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from exchange.capacity import Allocation
from exchange.commands.declare_capacity import DeclareCapacity, declare_capacity
from exchange.commands.list_due_windows import list_due_windows
from exchange.commands.set_listing_rule import SetListingRule, pause_listing_rule, set_listing_rule
from exchange.errors import InvalidTerms, InvalidWindow, UnknownProduct
from exchange.models import Contract, ContractState, DecisionKind, ListingRule
from exchange.tasks import list_due_windows as ring
from exchange.windows import DAY, HOUR, MINUTE, MONTH, parse_symbol
from ledger.chart import Role
from ledger.errors import NotFound, ReasonMissing
from ledger.models import Account, ActionLog
from tests.audits import audit, findings
from tests.integration.exchange.market import ACTOR, CODE, NOW, START, SYMBOL, Market
from tests.two_operators import decide

RULE = SetListingRule(
    product_code=CODE,
    window_seconds=15 * MINUTE,
    windows_ahead=4,
    gate_open_lead_seconds=DAY,
    gate_close_lead_seconds=10 * MINUTE,
    listing_price_ticks=420,
    follow_reference=False,
    band_low_permille=500,
    band_high_permille=2_000,
    collar_permille=100,
)


def rule(seconds: int = 15 * MINUTE, **changes: object) -> ListingRule:
    return set_listing_rule(replace(RULE, window_seconds=seconds, **changes), actor=ACTOR, now=NOW)  # type: ignore[arg-type]


def test_every_length_is_listed_ahead_with_its_figures(market: Market) -> None:
    for seconds in (15 * MINUTE, HOUR, 4 * HOUR, DAY, MONTH):
        rule(seconds, windows_ahead=2)
    symbols = list_due_windows(NOW)
    assert [symbol.partition("@")[2] for symbol in symbols] == [
        "20261201T1015/15MIN", "20261201T1030/15MIN", "20261201T11/1H", "20261201T12/1H", "20261201T12/4H",
        "20261201T16/4H", "20261202T00/1D", "20261203T00/1D", "202701/1M", "202702/1M",
    ]  # fmt: skip
    month = Contract.objects.get(symbol=f"{CODE}@202701/1M")
    assert (month.delivery_start, month.delivery_end) == (
        datetime(2027, 1, 1, tzinfo=UTC),
        datetime(2027, 2, 1, tzinfo=UTC),
    )
    assert (month.gate_open, month.gate_close) == (
        month.delivery_start - timedelta(days=1),
        month.delivery_start - timedelta(minutes=10),
    )
    assert (month.listing_price_ticks, month.band_low_ticks, month.band_high_ticks) == (420, 210, 840)
    assert (month.collar_permille, month.listed_at) == (100, NOW)
    assert [parse_symbol(symbol)[0] for symbol in symbols] == [CODE] * 10
    assert list_due_windows(NOW) == []
    assert ActionLog.objects.filter(action="list_contract", actor="calendar").count() == 10
    assert findings(audit()) == {}


def test_time_passes_and_each_window_is_listed_once(market: Market) -> None:
    rule()
    assert len(list_due_windows(NOW)) == 4
    assert list_due_windows(NOW + timedelta(minutes=4)) == []
    # at 10:05 the gate of 10:15 closes, so that one more window comes into sight
    assert list_due_windows(NOW + timedelta(minutes=5)) == [f"{CODE}@20261201T1115/15MIN"]
    assert list_due_windows(NOW + timedelta(minutes=5)) == []


def test_after_a_pause_it_catches_up_without_listing_a_closed_gate(market: Market) -> None:
    paused = rule()
    list_due_windows(NOW)
    pause_listing_rule(paused.pk, paused=True, reason="holidays", actor=ACTOR, now=NOW)
    later = NOW + timedelta(hours=5, minutes=7)
    assert list_due_windows(later) == []
    pause_listing_rule(paused.pk, paused=False, reason="back again", actor=ACTOR, now=later)
    starts = [parse_symbol(symbol)[1].start for symbol in list_due_windows(later)]
    assert starts == [datetime(2026, 12, 1, 15, 30, tzinfo=UTC) + timedelta(minutes=15 * n) for n in range(4)]
    listed = Contract.objects.filter(symbol__endswith="/15MIN")
    assert all(contract.gate_close > contract.listed_at for contract in listed)
    reasons = ActionLog.objects.filter(subject=f"listing_rule:{CODE}/15MIN").exclude(reason="").order_by("id")
    assert list(reasons.values_list("action", "reason")) == [
        ("pause_listing_rule", "holidays"),
        ("resume_listing_rule", "back again"),
    ]


def test_a_window_that_was_cancelled_is_not_listed_again(market: Market) -> None:
    rule()
    (first, *_) = list_due_windows(NOW)
    market.results(decide(DecisionKind.CANCEL_CONTRACT, first, now=NOW))
    assert Contract.objects.get(symbol=first).state == ContractState.CANCELLED
    assert list_due_windows(NOW) == []


def test_the_price_follows_the_last_reference_of_its_length(market: Market) -> None:
    rule(HOUR, follow_reference=True, windows_ahead=1, listing_price_ticks=300)
    rule(MONTH, follow_reference=True, windows_ahead=1, listing_price_ticks=300)
    hour, month = list_due_windows(NOW)
    assert set(Contract.objects.filter(symbol__in=[hour, month]).values_list("listing_price_ticks", flat=True)) == {300}
    market.offer(3, 410)
    market.buy(market.party("buyer"), 3, 410)
    market.clock.at = market.contract.gate_close
    market.sweep()  # 14:00, listed by hand, traded at 4.10; the gate of the hour that never traded was earlier
    (next_hour,) = list_due_windows(START - timedelta(minutes=10))
    contract = Contract.objects.get(symbol=next_hour)
    assert (contract.listing_price_ticks, contract.band_low_ticks, contract.band_high_ticks) == (410, 205, 820)
    assert Contract.objects.get(symbol=SYMBOL).reference_step == "trades"
    Contract.objects.filter(symbol=month).update(reference_price_micros=5_555_555)
    (next_month,) = list_due_windows(datetime(2026, 12, 31, 23, 50, tzinfo=UTC))[-1:]
    assert next_month == f"{CODE}@202702/1M"
    assert Contract.objects.get(symbol=next_month).listing_price_ticks == 555


def test_a_rule_that_cannot_list_says_why_and_stops_no_other(market: Market) -> None:
    broken = rule(15 * MINUTE, listing_price_ticks=10**6, band_high_permille=1_001)  # a lot would be worth too much
    rule(HOUR, windows_ahead=1)
    assert [symbol[-3:] for symbol in list_due_windows(NOW)] == ["/1H"]
    broken.refresh_from_db()
    assert broken.refusal.startswith("band_high_ticks must be from 1 to 1000000")
    rule(15 * MINUTE)
    assert len(list_due_windows(NOW)) == 4
    broken.refresh_from_db()
    assert broken.refusal == ""


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"product_code": "NOTHING"}, UnknownProduct),
        ({"window_seconds": 7 * MINUTE}, InvalidWindow),
        ({"windows_ahead": 0}, InvalidTerms),
        ({"windows_ahead": 401}, InvalidTerms),
        ({"gate_open_lead_seconds": 10 * MINUTE}, InvalidTerms),
        ({"gate_close_lead_seconds": -1}, InvalidTerms),
        ({"listing_price_ticks": 0}, InvalidTerms),
        ({"band_low_permille": 0}, InvalidTerms),
        ({"band_low_permille": 1_001}, InvalidTerms),
        ({"band_high_permille": 999}, InvalidTerms),
        ({"collar_permille": -1}, InvalidTerms),
        ({"shard": 0}, InvalidTerms),
        ({"shard": 9}, InvalidTerms),
    ],
)
def test_a_rule_that_contradicts_itself_is_refused(
    market: Market, change: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        set_listing_rule(replace(RULE, **change), actor=ACTOR, now=NOW)  # type: ignore[arg-type]
    assert not ListingRule.objects.exists()


def test_pausing_needs_a_rule_and_a_reason(market: Market) -> None:
    with pytest.raises(NotFound):
        pause_listing_rule(1, paused=True, reason="why not", actor=ACTOR, now=NOW)
    with pytest.raises(ReasonMissing):
        pause_listing_rule(rule().pk, paused=True, reason=" ", actor=ACTOR, now=NOW)


def test_two_at_once_list_a_window_once(market: Market) -> None:
    rule(windows_ahead=12)
    listed: list[list[str]] = []

    def work() -> None:
        try:
            listed.append(list_due_windows(NOW))
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(symbol for symbols in listed for symbol in symbols) == sorted(
        Contract.objects.filter(symbol__endswith="/15MIN").values_list("symbol", flat=True)
    )
    assert sum(map(len, listed)) == 12
    assert ListingRule.objects.get().refusal == ""


def test_the_doorbell_lists(market: Market) -> None:
    rule(DAY, windows_ahead=1)
    ring()
    assert Contract.objects.filter(symbol__endswith="/1D").count() == 1


def test_a_month_has_the_capacity_of_its_own_seconds(market: Market) -> None:
    """Allocated to months is a part of the site, whatever their number of days."""
    allocations = (Allocation(market.product.id, HOUR, 400_000), Allocation(market.product.id, MONTH, 600_000))
    command = DeclareCapacity(market.provider.id, market.site_id, {"tokens_per_s": 10_000}, allocations)
    declare_capacity(command, actor=ACTOR, now=NOW)
    rule(MONTH, windows_ahead=3, gate_open_lead_seconds=200 * DAY)
    symbols = list_due_windows(NOW)
    contracts = Contract.objects.filter(symbol__in=symbols).order_by("delivery_start")
    floors = [Account.objects.get(asset=contract.asset_id, role=Role.OBLIGATION).floor for contract in contracts]
    assert floors == [-10_000 * 6 // 10 * days * DAY for days in (31, 28, 31)]
    declare_capacity(replace(command, basis={"tokens_per_s": 5_000}), actor=ACTOR, now=NOW)
    floors = [Account.objects.get(asset=contract.asset_id, role=Role.OBLIGATION).floor for contract in contracts]
    assert floors == [-5_000 * 6 // 10 * days * DAY for days in (31, 28, 31)]
    hour = Account.objects.get(asset=market.contract.asset_id, role=Role.OBLIGATION)
    assert hour.floor == -5_000 * 4 // 10 * HOUR
