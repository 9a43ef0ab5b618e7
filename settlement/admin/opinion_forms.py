"""The forms behind which an operator registers and revokes the keys that auditors sign opinions with."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from ledger.admin.command_forms import CommandForm, Done, ReasonForm, paragraph_field, text_field
from settlement.commands.register_auditor_key import (
    MAX_NAME,
    RegisterAuditorKey,
    register_auditor_key,
    revoke_auditor_key,
)
from settlement.metering.public_keys import parse_public_key
from settlement.models import AuditorKey


class RegisterAuditorKeyForm(CommandForm):
    title = "Register an auditor's key"
    intro = (
        "From now on, opinions signed with this key are taken under the auditor's name, and the key is published with "
        "those of the exchange. Make sure by another way that the key is the auditor's."
    )
    submit = "Register the key"

    auditor = text_field("Auditor", max_length=MAX_NAME)
    public_key = paragraph_field("Public key", help_text="Ed25519, as PEM, JWK or base64url of its 32 bytes.")

    def act(self) -> Done:
        command = RegisterAuditorKey(self.cleaned_data["auditor"], parse_public_key(self.cleaned_data["public_key"]))
        key = register_auditor_key(command, actor=self.access.actor, now=self.now)
        return Done("The key is registered.", reverse("admin:settlement_auditorkey_change", args=(key.kid,)))


class RevokeAuditorKeyForm(ReasonForm):
    title = "Revoke an auditor's key"
    intro = "It gives no more opinions. Those that it gave stay. Revoking is final."
    submit = "Revoke the key for good"
    dangerous = True

    def __init__(self, *arguments: Any, key: AuditorKey, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.key = key

    def act(self) -> Done:
        revoke_auditor_key(self.key.kid, self.cleaned_data["reason"], actor=self.access.actor, now=self.now)
        return Done("The key is revoked.", reverse("admin:settlement_auditorkey_change", args=(self.key.kid,)))
