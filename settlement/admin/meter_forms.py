"""Forms for meters and their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.urls import reverse

from ledger.admin.command_forms import (
    CommandForm,
    Done,
    ReasonForm,
    choice_field,
    paragraph_field,
    text_field,
)
from ledger.models import Party, PartyKind
from settlement.commands.register_meter import RegisterMeter, register_meter
from settlement.commands.register_meter_key import RegisterMeterKey, register_meter_key
from settlement.commands.require_signatures import RequireSignatures, require_signatures
from settlement.commands.revoke_meter_key import RevokeMeterKey, revoke_meter_key
from settlement.metering.public_keys import LONGEST, parse_public_key
from settlement.models import Meter, MeterKey, MeterSide

SIDES = {
    PartyKind.PROVIDER: MeterSide.PROVIDER,
    PartyKind.BUYER: MeterSide.BUYER,
    PartyKind.HOUSE: MeterSide.GATEWAY,
}


class RegisterMeterForm(CommandForm):
    title = "Register a meter"
    intro = "A source of usage events. Only API keys of its party may report for it; the house's meters are gateways."
    submit = "Register the meter"
    field_of: ClassVar[Mapping[str, str]] = {"side": "party"}

    party = choice_field("Party")
    code = text_field("Code", help_text="What the meter writes as CloudEvents source.", max_length=80)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        parties = Party.objects.filter(kind__in=SIDES).order_by("name")
        self.choose_from("party", [(str(party.pk), f"{party.name} ({party.kind})") for party in parties])

    def act(self) -> Done:
        party = Party.objects.get(pk=self.cleaned_data["party"])
        command = RegisterMeter(party.pk, self.cleaned_data["code"], SIDES[PartyKind(party.kind)])
        meter = register_meter(command, actor=self.access.actor, now=self.now)
        return Done(f"{meter} is registered.", reverse("admin:settlement_meter_change", args=(meter.pk,)))


class RegisterMeterKeyForm(CommandForm):
    title = "Register a key of a meter"
    intro = (
        "The public half of the Ed25519 key that the meter signs its calls with. What it signs is kept as evidence. "
        "The private half stays with the meter."
    )
    submit = "Register the key"

    public_key = paragraph_field("Public key", help_text="Base64url of the 32 bytes, a JWK or a PEM.")

    def __init__(self, *arguments: Any, meter: Meter, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["public_key"].widget.attrs["maxlength"] = str(LONGEST)
        self.meter = meter

    def act(self) -> Done:
        command = RegisterMeterKey(self.meter.pk, parse_public_key(self.cleaned_data["public_key"]))
        key = register_meter_key(command, actor=self.access.actor, now=self.now)
        url = reverse("admin:settlement_meter_change", args=(self.meter.pk,))
        return Done(f"Key {key.thumbprint} of {self.meter} is registered.", url)


class RevokeMeterKeyForm(ReasonForm):
    title = "Revoke a key of a meter"
    intro = "Calls signed with it are refused from now on; those it signed before stay signed. This cannot be undone."
    submit = "Revoke the key"
    dangerous = True

    def __init__(self, *arguments: Any, key: MeterKey, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.key = key

    def act(self) -> Done:
        command = RevokeMeterKey(self.key.meter_id, self.key.thumbprint, self.cleaned_data["reason"])
        revoke_meter_key(command, actor=self.access.actor, now=self.now)
        url = reverse("admin:settlement_meterkey_change", args=(self.key.pk,))
        return Done(f"Key {self.key.thumbprint} is revoked.", url)


class RequireSignaturesForm(ReasonForm):
    title = "Take signed calls only"
    intro = (
        "What the meter sends unsigned is rejected from now on, and no API key may register a key for it: who speaks "
        "for the meter is then decided by its keys."
    )
    submit = "Take signed calls only"
    required = True

    def __init__(self, *arguments: Any, meter: Meter, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.meter = meter

    def act(self) -> Done:
        command = RequireSignatures(self.meter.pk, self.required, self.cleaned_data["reason"])
        require_signatures(command, actor=self.access.actor, now=self.now)
        word = "are rejected" if self.required else "count again"
        url = reverse("admin:settlement_meter_change", args=(self.meter.pk,))
        return Done(f"Unsigned calls of {self.meter} {word} from now on.", url)


class AllowUnsignedForm(RequireSignaturesForm):
    title = "Take unsigned calls too"
    intro = "An API key of the party is enough again to report for the meter."
    submit = "Take unsigned calls too"
    dangerous = True
    required = False
