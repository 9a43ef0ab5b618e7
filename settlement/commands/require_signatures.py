"""Say that a meter sends signed calls only, or may send unsigned ones again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ledger.actions import record_action
from ledger.errors import NotFound
from settlement.errors import MeterKeyMissing
from settlement.models import Meter, MeterKey


@dataclass(frozen=True, slots=True)
class RequireSignatures:
    """`required`: whether what the meter sends unsigned is rejected from now on."""

    meter_id: int
    required: bool
    reason: str = ""


@transaction.atomic
def require_signatures(command: RequireSignatures, *, actor: str, now: datetime) -> Meter:
    """Set it; the same again changes nothing. Raises `NotFound`, and `MeterKeyMissing` for a meter without a key.

    Whether the actor may act for the meter's party is checked where the command comes in. No API key may: it would
    take away the very protection against a stolen one.
    """
    meter = Meter.objects.select_for_update().filter(id=command.meter_id).first()
    if meter is None:
        raise NotFound(f"There is no meter {command.meter_id}.", meter=str(command.meter_id))
    if command.required and not MeterKey.objects.filter(meter=meter, revoked_at=None).exists():
        raise MeterKeyMissing(f"{meter.code} has no key to sign with. Register one first.", meter=meter.code)
    if meter.signature_required != command.required:
        meter.signature_required = command.required
        meter.save(update_fields=["signature_required"])
        record_action(
            actor=actor,
            action="require_signatures" if command.required else "allow_unsigned_calls",
            subject=f"meter:{meter.code}",
            reason=command.reason,
            now=now,
        )
    return meter
