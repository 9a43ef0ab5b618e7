"""What is due by itself: orders with an expiry, and dead-man switches.

Both stand in the tables, so a restart forgets none; memory holds only when to look next. What is due is found at the
head of a batch by the batch's own reading of the clock, so that a replay needs no more than that reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Min, QuerySet

from exchange.matching.lifecycle import OrderStatus
from exchange.models import Contract, DeadManSwitch, Order


@dataclass(frozen=True, slots=True)
class DueOrder:
    """An order at its expiry."""

    order_id: int
    contract_id: int


@dataclass(frozen=True, slots=True)
class DueSwitch:
    """A dead-man switch that was not renewed."""

    party_id: int


Timer = DueOrder | DueSwitch


class BrokenTimer(Exception):
    """What is due cannot be done: nothing that comes after it may be decided before a human has looked."""


def read_due(shard: int, now: datetime, limit: int) -> list[Timer]:
    """What is due at `now`, at most `limit` of it, by due time, orders before switches, then by id."""
    expired = (
        _expiring(shard)
        .filter(expires_at__lte=now)
        .order_by("expires_at", "id")
        .values_list("expires_at", "id", "contract_id")[:limit]
    )
    switches = (
        _switches(shard)
        .filter(due_at__lte=now)
        .order_by("due_at", "party_id")
        .values_list("due_at", "party_id")[:limit]
    )
    due: list[tuple[datetime, int, int, Timer]] = [
        (at, 0, order_id, DueOrder(order_id, contract_id)) for at, order_id, contract_id in expired if at is not None
    ]
    due += [(at, 1, party_id, DueSwitch(party_id)) for at, party_id in switches if at is not None]
    due.sort(key=lambda each: each[:3])
    return [timer for *_, timer in due[:limit]]


def read_next_due(shard: int) -> datetime | None:
    """When the next timer of the shard is due."""
    first = _expiring(shard).order_by("expires_at").values_list("expires_at", flat=True).first()
    switch = _switches(shard).aggregate(at=Min("due_at"))["at"]
    return min((at for at in (first, switch) if at is not None), default=None)


def _expiring(shard: int) -> QuerySet[Order]:
    of_shard = Contract.objects.filter(shard=shard).values("id")
    return Order.objects.filter(status=OrderStatus.OPEN, expires_at__isnull=False, contract_id__in=of_shard)


def _switches(shard: int) -> QuerySet[DeadManSwitch]:
    return DeadManSwitch.objects.filter(shard=shard, due_at__isnull=False)
