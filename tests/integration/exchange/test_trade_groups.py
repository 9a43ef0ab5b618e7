"""Which parties belong together, and what it does to their orders."""

from __future__ import annotations

import pytest

from exchange.commands.set_trade_group import SetTradeGroup, set_trade_group
from exchange.errors import InvalidTradeGroup
from exchange.models import Fill, Order, PreventedMatch, TradeGroup
from ledger.errors import NotFound
from ledger.models import ActionLog, PartyKind
from tests.integration.exchange.market import ACTOR, NOW, Market


def put(party: str, group: str | None, reason: str = "One owner.") -> None:
    set_trade_group(SetTradeGroup(party, group, reason), actor=ACTOR, now=NOW)


def groups() -> dict[str, int]:
    return dict(TradeGroup.objects.values_list("party__code", "group_id"))


def test_orders_of_a_group_never_trade_with_each_other(market: Market) -> None:
    buyer, other = market.party("buyer"), market.party("other")
    put("buyer", "provider-1")
    market.offer(5, 400)
    assert market.buy(buyer, 2, 400)["status"] != "filled"
    assert not Fill.objects.exists()
    prevented = PreventedMatch.objects.get()
    assert {prevented.taker_party_id, prevented.maker_party_id} == {buyer.id, market.provider.id}
    market.buy(other, 2, 400)
    assert Fill.objects.get().buyer_id == other.id


def test_members_do_not_trade_with_each_other_either(market: Market) -> None:
    holding = market.party("holding")
    market.party("buyer")
    put("provider-1", "holding")
    put("buyer", "holding")
    assert groups() == {"provider-1": holding.id, "buyer": holding.id}
    market.offer(5, 400)
    market.buy(holding, 1, 400)
    assert not Fill.objects.exists()


def test_an_open_order_keeps_the_group_it_was_placed_with(market: Market) -> None:
    buyer = market.party("buyer")
    market.offer(5, 400)
    put("provider-1", "buyer")  # too late for that offer's order
    market.buy(buyer, 2, 400)
    assert Fill.objects.get().lots == 2
    market.offer(5, 390)  # one tick better, and of the group
    market.buy(buyer, 2, 390)
    assert Fill.objects.count() == 1
    assert set(Order.objects.values_list("group_id", flat=True)) == {market.provider.id, buyer.id}


def test_a_party_may_leave_its_group(market: Market) -> None:
    buyer = market.party("buyer")
    put("buyer", "provider-1")
    put("buyer", None, "It was sold.")
    assert groups() == {"buyer": buyer.id}
    market.offer(5, 400)
    market.buy(buyer, 2, 400)
    assert Fill.objects.get().lots == 2
    told = ActionLog.objects.filter(action="set_trade_group").order_by("id")
    assert [(log.actor, log.subject, log.reason, log.details["group"]) for log in told] == [
        (ACTOR, "party:buyer", "One owner.", "provider-1"),
        (ACTOR, "party:buyer", "It was sold.", ""),
    ]


def test_groups_are_flat(market: Market) -> None:
    parties = {code: market.party(code, micros=0) for code in ("a", "b", "c")}
    put("a", "b")
    put("c", "a")  # which is in the group of b
    assert groups() == {"a": parties["b"].id, "c": parties["b"].id}
    put("a", "a")  # its group's, as it was
    for party, group in (("b", "provider-1"), ("b", "a"), ("b", "b")):
        with pytest.raises(InvalidTradeGroup):
            put(party, group)
    assert groups() == {"a": parties["b"].id, "c": parties["b"].id}


def test_only_those_who_trade_are_in_groups_and_a_reason_is_given(market: Market) -> None:
    market.party("buyer")
    market.party("lab", PartyKind.BENEFICIARY, micros=0)
    for party, group in (("nobody", "buyer"), ("buyer", "nobody"), ("house", "buyer"), ("buyer", "lab")):
        with pytest.raises(NotFound):
            put(party, group)
    with pytest.raises(InvalidTradeGroup):
        put("buyer", "provider-1", " ")
    assert groups() == {}
