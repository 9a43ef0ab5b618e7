"""Dead-man switches."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Min

from exchange.models import DeadManSwitch


def get_switch(party_id: int) -> datetime | None:
    """When a party's orders are cancelled unless it is heard of again; None when its switch is off."""
    due_at: datetime | None = DeadManSwitch.objects.filter(party_id=party_id).aggregate(at=Min("due_at"))["at"]
    return due_at
