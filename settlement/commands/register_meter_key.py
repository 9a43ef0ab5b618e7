"""Make a meter's public key known, so that the calls it signs can be told from what others send in its name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ledger.actions import record_action
from ledger.errors import NotAllowed, NotFound
from settlement.errors import InvalidMeterKey
from settlement.metering.signatures import is_usable_key, thumbprint
from settlement.models import Meter, MeterKey


@dataclass(frozen=True, slots=True)
class RegisterMeterKey:
    """`public_key` is the 32 bytes of an Ed25519 public key; `by_api_key` if no person but an API key asks for it."""

    meter_id: int
    public_key: bytes
    by_api_key: bool = False


@transaction.atomic
def register_meter_key(command: RegisterMeterKey, *, actor: str, now: datetime) -> MeterKey:
    """Register a key of a meter, beside those it has; the same again returns it. Raises `NotFound`, `InvalidMeterKey`.

    Whether the actor may act for the meter's party is checked where the command comes in. For a meter that sends signed
    calls only, no API key may register one (`NotAllowed`): whoever stole the API key could sign all the same.
    """
    meter = Meter.objects.filter(id=command.meter_id).first()
    if meter is None:
        raise NotFound(f"There is no meter {command.meter_id}.", meter=str(command.meter_id))
    if command.by_api_key and meter.signature_required:
        raise NotAllowed(f"{meter.code} sends signed calls only: a person of its party registers its keys, by the web.")
    if not is_usable_key(command.public_key):
        raise InvalidMeterKey("Send the 32 bytes of an Ed25519 public key of your own making.", field="public_key")
    key, created = MeterKey.objects.get_or_create(
        thumbprint=thumbprint(command.public_key),
        defaults={"meter": meter, "public_key": command.public_key, "registered_at": now, "registered_by": actor},
    )
    if key.meter_id != meter.id:
        raise InvalidMeterKey("Another meter has this key. Make a pair of keys for each meter.", field="public_key")
    if key.revoked_at is not None:
        raise InvalidMeterKey("This key was revoked, which is final. Make a new pair.", field="public_key")
    if created:
        record_action(
            actor=actor,
            action="register_meter_key",
            subject=f"meter:{meter.code}",
            now=now,
            details={"thumbprint": key.thumbprint},
        )
    return key
