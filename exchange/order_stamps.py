"""What intake adds to what a caller asked for: whose the order counts as, its fee rates, and what a budget buys.

It is stamped into the command, so that the sequencer need not look it up and a replay finds it as it was. A repeat of
the command is judged by what was asked, since a stamp may have become another since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from exchange.clearing.terms import PPM, ContractTerms
from exchange.fees import rates_for
from exchange.matching.types import OrderType, PostOnly, SelfTrade, Side, TickLots
from exchange.models import TradeGroup

_STAMPED = frozenset({"group_id", "maker_fee_ppm", "taker_fee_ppm", "budget"})
_UNLESS_ASKED = {  # what commands meant that were recorded before there was a choice
    "order_type": OrderType.LIMIT.value,
    "post_only": PostOnly.NO.value,
    "self_trade": SelfTrade.CANCEL_NEWEST.value,
}


@dataclass(frozen=True, slots=True)
class Stamps:
    """`group_id` is the party that an order never trades with; the rates are parts per million."""

    group_id: int
    maker_fee_ppm: int
    taker_fee_ppm: int


def read_stamps(party_id: int, terms: ContractTerms, side: Side, now: datetime) -> Stamps:
    """The stamps of a party's next order in a contract."""
    group_id = TradeGroup.objects.filter(party_id=party_id).values_list("group_id", flat=True).first()
    rates = rates_for(party_id, terms, side, now)
    return Stamps(group_id or party_id, rates.maker_ppm, rates.taker_ppm)


def budget_ticks(terms: ContractTerms, budget_micros: int, fee_ppm: int) -> TickLots:
    """How many ticks times lots can be bought for a budget that also pays the fee."""
    return TickLots(budget_micros * PPM // (terms.lot_tick_micros * (PPM + fee_ppm)))


def asked_difference(first: Mapping[str, Any], again: Mapping[str, Any]) -> str | None:
    """The first member in which two commands ask for something else; None when they ask for the same."""
    asked, asked_again = _asked(first), _asked(again)
    for member in sorted(asked.keys() | asked_again.keys()):
        if asked.get(member) != asked_again.get(member):
            return member
    return None


def _asked(payload: Mapping[str, Any]) -> dict[str, Any]:
    derived = _STAMPED | {"lots"} if payload.get("budget_micros") is not None else _STAMPED
    return _UNLESS_ASKED | {member: value for member, value in payload.items() if member not in derived}
