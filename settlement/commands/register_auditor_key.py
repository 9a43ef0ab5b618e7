"""Make the public key known that an auditor signs opinions with; and revoke it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import transaction

from ledger.actions import record_action
from ledger.errors import NotFound, ReasonMissing
from ledger.keys.signers import public_jwk
from ledger.models import SigningKey
from settlement.metering.signatures import is_usable_key
from settlement.models import AuditorKey
from settlement.statements.errors import InvalidAuditorKey

MAX_NAME = 80


@dataclass(frozen=True, slots=True)
class RegisterAuditorKey:
    """`public_key` is the 32 bytes of an Ed25519 public key, `auditor` the name that opinions are given under."""

    auditor: str
    public_key: bytes


@transaction.atomic
def register_auditor_key(command: RegisterAuditorKey, *, actor: str, now: datetime) -> AuditorKey:
    """Register a key; the same again returns it. Raises `InvalidAuditorKey`."""
    name = command.auditor.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidAuditorKey(f"An auditor has a name of 1 to {MAX_NAME} characters.", field="auditor")
    if not is_usable_key(command.public_key):
        raise InvalidAuditorKey("Send the 32 bytes of an Ed25519 public key of your own making.", field="public_key")
    jwk = public_jwk(Ed25519PublicKey.from_public_bytes(command.public_key))
    if SigningKey.objects.filter(kid=jwk["kid"]).exists():
        raise InvalidAuditorKey("This is a key of the exchange, which does not audit itself.", field="public_key")
    key, created = AuditorKey.objects.get_or_create(
        kid=jwk["kid"],
        defaults={"auditor": name, "public_jwk": jwk, "valid_from": now, "registered_by": actor},
    )
    if key.auditor != name:
        raise InvalidAuditorKey("Another auditor has this key. Make a pair of keys of your own.", field="public_key")
    if key.revoked_at is not None:
        raise InvalidAuditorKey("This key was revoked, which is final. Make a new pair.", field="public_key")
    if created:
        record_action(
            actor=actor,
            action="register_auditor_key",
            subject=f"auditor_key:{key.kid}",
            now=now,
            details={"auditor": name},
        )
    return key


@transaction.atomic
def revoke_auditor_key(kid: str, reason: str, *, actor: str, now: datetime) -> AuditorKey:
    """Revoke a key, for ever; again changes nothing. What it signed stays. Raises `NotFound`, `ReasonMissing`."""
    if not reason.strip():
        raise ReasonMissing("Say why the key is revoked; it stays on record.")
    key = AuditorKey.objects.select_for_update().filter(kid=kid).first()
    if key is None:
        raise NotFound(f"There is no auditor's key {kid!r}.", kid=kid)
    if key.revoked_at is None:
        key.revoked_at = now
        key.save(update_fields=["revoked_at"])
        record_action(actor=actor, action="revoke_auditor_key", subject=f"auditor_key:{kid}", now=now, reason=reason)
    return key
