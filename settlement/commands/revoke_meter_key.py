"""Revoke a meter's key: nothing that it signs is believed from then on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ledger.actions import record_action
from ledger.errors import NotFound
from settlement.models import MeterKey


@dataclass(frozen=True, slots=True)
class RevokeMeterKey:
    """A key by its RFC 7638 thumbprint, among those of a meter."""

    meter_id: int
    thumbprint: str
    reason: str = ""


@transaction.atomic
def revoke_meter_key(command: RevokeMeterKey, *, actor: str, now: datetime) -> MeterKey:
    """Revoke a key, for ever; again changes nothing. Raises `NotFound`.

    Calls that it signed before stay signed. Whether the actor may act for the meter's party is checked where the
    command comes in.
    """
    keys = MeterKey.objects.select_for_update(of=("self",)).select_related("meter")
    key = keys.filter(meter_id=command.meter_id, thumbprint=command.thumbprint).first()
    if key is None:
        raise NotFound("The meter has no key with this thumbprint.", thumbprint=command.thumbprint)
    if key.revoked_at is None:
        key.revoked_at, key.revoked_by = now, actor
        key.save(update_fields=["revoked_at", "revoked_by"])
        record_action(
            actor=actor,
            action="revoke_meter_key",
            subject=f"meter:{key.meter.code}",
            reason=command.reason,
            now=now,
            details={"thumbprint": key.thumbprint},
        )
    return key
