"""Dead-man switches."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Min, QuerySet

from exchange.models import DeadManSwitch
from exchange.sequencer.intake import trading_shards


def get_switch(party_id: int, now: datetime) -> datetime | None:
    """When a party's orders are cancelled unless it is heard of again; None when its switch is off.

    Where nothing is in trade a switch has nothing to do, and counts only as what a shard yet to open will be told.
    """
    of_party = DeadManSwitch.objects.filter(party_id=party_id)
    return _first(of_party.filter(shard__in=trading_shards())) or _first(of_party.filter(due_at__gt=now))


def _first(switches: QuerySet[DeadManSwitch]) -> datetime | None:
    due_at: datetime | None = switches.aggregate(at=Min("due_at"))["at"]
    return due_at
