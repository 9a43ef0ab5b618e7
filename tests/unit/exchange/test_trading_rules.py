"""The checks of an order, one refusal each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from exchange import trading_rules as rules
from exchange.errors import (
    ContractClosed,
    ContractHalted,
    ContractNotOpen,
    InvalidOrder,
    InvalidQuantity,
    PriceOutOfBand,
)
from ledger.errors import DomainError
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
