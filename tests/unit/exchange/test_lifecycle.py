"""Every pair of order states, allowed or not."""

from __future__ import annotations

from itertools import product

import pytest

from exchange.matching.events import CloseReason
from exchange.matching.lifecycle import ALLOWED_TRANSITIONS, STATUS_AFTER_CLOSE, TERMINAL, OrderStatus, advance
from exchange.matching.types import BrokenInvariant

ALLOWED = {
    ("pending", "open"),
    ("pending", "filled"),
    ("pending", "cancelled"),
    ("pending", "rejected"),
    ("open", "filled"),
    ("open", "cancelled"),
    ("open", "expired"),
}


@pytest.mark.parametrize(("old", "new"), list(product(OrderStatus, OrderStatus)))
def test_only_the_listed_transitions_are_allowed(old: OrderStatus, new: OrderStatus) -> None:
    if (old, new) in ALLOWED:
        assert advance(old, new) is new
    else:
        with pytest.raises(BrokenInvariant):
            advance(old, new)


def test_every_state_is_in_the_table_and_terminal_ones_lead_nowhere() -> None:
    assert set(ALLOWED_TRANSITIONS) == set(OrderStatus)
    assert {status for status, ways in ALLOWED_TRANSITIONS.items() if not ways} == TERMINAL


def test_every_reason_closes_an_open_order() -> None:
    assert set(STATUS_AFTER_CLOSE) == set(CloseReason)
    assert all(advance(OrderStatus.OPEN, status) in TERMINAL for status in STATUS_AFTER_CLOSE.values())
