"""The checks of an order, one refusal each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from exchange import trading_rules as rules
from exchange.errors import (
    BudgetTooSmall,
    ContractClosed,
    ContractHalted,
    ContractNotOpen,
    ExpiryOutOfRange,
    InvalidOrder,
    InvalidQuantity,
    PriceOutOfBand,
)
from exchange.matching.types import OrderType, PostOnly, TimeInForce
from ledger.errors import DomainError, InvalidAmount
from tests.unit.exchange.terms import TERMS

OPEN = datetime(2026, 12, 1, 8, tzinfo=UTC)
CLOSE = datetime(2026, 12, 1, 13, 30, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


def test_prices_and_quantities_at_their_limits_pass() -> None:
    for ticks in (TERMS.band_low_ticks, TERMS.band_high_ticks):
        rules.check_price(TERMS, ticks)
    for lots in (1, 1_000_000):
        rules.check_lots(lots)
    for permille in (0, 1_000):
        rules.check_overage(permille)
    for text in ("a", "A-1._:z", "x" * 64):
        rules.check_client_order_id(text)


@pytest.mark.parametrize("ticks", [0, -1, TERMS.band_high_ticks + 1])
def test_a_price_outside_the_band_is_refused_with_the_band(ticks: int) -> None:
    with pytest.raises(PriceOutOfBand) as refusal:
        rules.check_price(TERMS, ticks)
    assert (refusal.value.fields["band_low"], refusal.value.fields["band_high"]) == ("0.010000", "10.000000")


@pytest.mark.parametrize("lots", [0, -1, 1_000_001, 2**53])
def test_a_quantity_that_cannot_be_is_refused(lots: int) -> None:
    with pytest.raises(InvalidQuantity):
        rules.check_lots(lots)


@pytest.mark.parametrize("text", ["", "x" * 65, "a b", "ä", "a\n"])
def test_a_client_order_id_is_plain_text(text: str) -> None:
    with pytest.raises(InvalidOrder):
        rules.check_client_order_id(text)


@pytest.mark.parametrize(
    ("state", "now", "error"),
    [
        ("trading", OPEN, None),
        ("trading", CLOSE - MOMENT, None),
        ("trading", CLOSE, ContractClosed),
        ("trading", OPEN - MOMENT, ContractNotOpen),
        ("listed", OPEN, ContractNotOpen),
        ("listed", CLOSE, ContractClosed),
        ("halted", OPEN, ContractHalted),
        ("halted", CLOSE, ContractClosed),
        ("closed", OPEN, ContractClosed),
        ("settled", OPEN, ContractClosed),
        ("cancelled", OPEN, ContractClosed),
    ],
)
def test_a_contract_trades_between_its_gates(state: str, now: datetime, error: type[DomainError] | None) -> None:
    if error is None:
        rules.check_trading("S", state, OPEN, CLOSE, now)
        return
    with pytest.raises(error) as refusal:
        rules.check_trading("S", state, OPEN, CLOSE, now)
    assert refusal.value.fields["gate_close"] == "2026-12-01T13:30:00Z"


LIMIT, MARKET = OrderType.LIMIT, OrderType.MARKET
GTC, GTD, IOC, FOK = TimeInForce


@pytest.mark.parametrize("order_type", OrderType)
@pytest.mark.parametrize("time_in_force", TimeInForce)
@pytest.mark.parametrize("post_only", PostOnly)
@pytest.mark.parametrize("by_budget", [True, False])
def test_type_time_in_force_and_post_only_go_together_or_not(
    order_type: OrderType, time_in_force: TimeInForce, post_only: PostOnly, by_budget: bool
) -> None:
    rests = time_in_force in (GTC, GTD)
    good = (
        (order_type is LIMIT or not rests)
        and (not by_budget or time_in_force is IOC)
        and (post_only is PostOnly.NO or rests)
    )
    if good:
        rules.check_kind(order_type, time_in_force, post_only, by_budget=by_budget)
        return
    with pytest.raises(InvalidOrder) as refusal:
        rules.check_kind(order_type, time_in_force, post_only, by_budget=by_budget)
    assert refusal.value.fields["field"] in {"time_in_force", "post_only"}


@pytest.mark.parametrize(
    ("order_type", "price", "lots", "budget", "error"),
    [
        (LIMIT, 400, 1, None, None),
        (LIMIT, None, 1, None, InvalidOrder),
        (LIMIT, 400, None, None, InvalidOrder),
        (LIMIT, 400, None, 1, InvalidOrder),
        (LIMIT, 400, 1, 1, InvalidOrder),
        (LIMIT, 400, 0, None, InvalidQuantity),
        (MARKET, None, 1, None, None),
        (MARKET, 400, 1, None, None),
        (MARKET, None, None, 1, None),
        (MARKET, 400, None, rules.MAX_BUDGET_MICROS, None),
        (MARKET, None, None, None, InvalidOrder),
        (MARKET, None, 1, 1, InvalidOrder),
        (MARKET, None, None, 0, InvalidAmount),
        (MARKET, None, None, rules.MAX_BUDGET_MICROS + 1, InvalidAmount),
    ],
)
def test_an_order_has_the_price_and_quantity_of_its_type(
    order_type: OrderType, price: int | None, lots: int | None, budget: int | None, error: type[DomainError] | None
) -> None:
    if error is None:
        rules.check_size(order_type, price, lots, budget)
        return
    with pytest.raises(error) as refusal:
        rules.check_size(order_type, price, lots, budget)
    assert refusal.value.fields["field"] in {"price", "lots", "budget"}


def test_only_a_gtd_order_has_an_expiry_and_within_the_gates() -> None:
    for time_in_force in TimeInForce:
        expiry, other = (OPEN, None) if time_in_force is GTD else (None, OPEN)
        rules.check_has_expiry(time_in_force, expiry)
        with pytest.raises(InvalidOrder):
            rules.check_has_expiry(time_in_force, other)
    rules.check_expiry(CLOSE, CLOSE, OPEN)
    rules.check_expiry(OPEN + MOMENT, CLOSE, OPEN)
    for expires_at in (OPEN, OPEN - MOMENT, CLOSE + MOMENT):
        with pytest.raises(ExpiryOutOfRange):
            rules.check_expiry(expires_at, CLOSE, OPEN)


def test_a_budget_buys_at_least_one_lot() -> None:
    rules.check_budget(TERMS, 1, 1)
    with pytest.raises(BudgetTooSmall) as refusal:
        rules.check_budget(TERMS, 1_000, 0)
    assert (refusal.value.fields["budget"], refusal.value.fields["band_low"]) == ("0.001000", "0.010000")


@pytest.mark.parametrize(("seconds", "good"), [(0, True), (1, True), (86_400, True), (-1, False), (86_401, False)])
def test_a_switch_is_set_for_at_most_a_day(seconds: int, good: bool) -> None:
    if good:
        rules.check_switch_seconds(seconds)
        return
    with pytest.raises(InvalidOrder):
        rules.check_switch_seconds(seconds)
