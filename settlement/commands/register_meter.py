"""Make a meter known: whose it is and for which side it speaks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ledger.actions import record_action
from ledger.errors import NotFound
from ledger.models import Party, PartyKind
from settlement.errors import InvalidMeter
from settlement.models import Meter, MeterSide

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,79}")
# A gateway's figure outranks both parties', so only the house may run one.
_SIDE_OF = {
    PartyKind.PROVIDER: MeterSide.PROVIDER,
    PartyKind.BUYER: MeterSide.BUYER,
    PartyKind.HOUSE: MeterSide.GATEWAY,
}


@dataclass(frozen=True, slots=True)
class RegisterMeter:
    """`code` is what the meter writes as CloudEvents `source`; `side` is its party's own, the house's is gateway."""

    party_id: int
    code: str
    side: MeterSide


@transaction.atomic
def register_meter(command: RegisterMeter, *, actor: str, now: datetime) -> Meter:
    """Register a meter of a provider, a buyer or the house (a gateway); the same again returns it.

    Raises `NotFound` and `InvalidMeter`.
    """
    party = Party.objects.filter(id=command.party_id).first()
    if party is None:
        raise NotFound(f"There is no party {command.party_id}.", party=str(command.party_id))
    if _SIDE_OF.get(PartyKind(party.kind)) is not command.side:
        raise InvalidMeter(f"A {party.kind} has no meter of the {command.side} side.", field="side")
    if not _CODE.fullmatch(command.code):
        raise InvalidMeter("A meter's code has 1 to 80 letters, digits and . _ : / -", field="code")
    meter, created = Meter.objects.get_or_create(
        code=command.code, defaults={"party": party, "side": command.side, "registered_at": now}
    )
    if meter.party_id != party.id:
        raise InvalidMeter(f"{command.code} is another party's meter.", field="code")
    if created:
        record_action(
            actor=actor,
            action="register_meter",
            subject=f"meter:{meter.code}",
            now=now,
            details={"party": party.code, "side": command.side.value},
        )
    return meter
