"""What a change of an order has to know of it: whose it is, where, and on which side."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import BigIntegerField, OuterRef, Subquery
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from exchange.errors import OrderNotFound
from exchange.matching.types import Side
from exchange.models import Intake, IntakeKind
from ledger.money import MAX_AMOUNT


@dataclass(frozen=True, slots=True)
class OwnOrder:
    """An order in the line or decided."""

    id: int
    contract_id: int
    side: Side


def find_own_orders(party_id: int, order_ids: Collection[int]) -> dict[int, OwnOrder]:
    """A party's orders among these ids."""
    wanted = [id for id in order_ids if 0 < id <= MAX_AMOUNT]
    placed = Intake.objects.filter(seq__in=wanted, kind=IntakeKind.PLACE_ORDER, party_id=party_id)
    return {
        command.seq: OwnOrder(command.seq, command.contract_id, Side(command.payload["side"]))
        for command in placed
        if command.contract_id is not None
    }


def get_own_order(party_id: int, order_id: int) -> OwnOrder:
    """Raises `OrderNotFound`, also for somebody else's."""
    found = find_own_orders(party_id, [order_id]).get(order_id)
    if found is None:
        raise OrderNotFound(f"There is no order {order_id}.", order_id=str(order_id))
    return found


def find_order_ids(party_id: int, client_order_ids: Collection[str]) -> dict[str, int]:
    """The ids of a party's orders by the names it gave them."""
    named = Intake.objects.filter(party_id=party_id, client_order_id__in=client_order_ids)
    return {name: seq for name, seq in named.values_list("client_order_id", "seq") if name is not None}


def get_order_id(party_id: int, client_order_id: str) -> int:
    """Raises `OrderNotFound`."""
    found = find_order_ids(party_id, [client_order_id]).get(client_order_id)
    if found is None:
        raise OrderNotFound(f"There is no order {client_order_id!r}.", client_order_id=client_order_id)
    return found


def asked_budget() -> Subquery:
    """For rows of orders: the budget that was asked for, in micros with its fee. The row has what is left to trade."""
    budget = Cast(KT("payload__budget_micros"), BigIntegerField())
    return Subquery(Intake.objects.filter(seq=OuterRef("id")).annotate(asked=budget).values("asked")[:1])
