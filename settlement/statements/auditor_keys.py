"""Auditors' public keys in the key set that statements are checked with, each under its auditor's name."""

from __future__ import annotations

from typing import Any

from ledger.keys.ring import publish_also
from settlement.models import AuditorKey


def auditor_jwks() -> list[dict[str, Any]]:
    """All auditors' keys as JWKs, those revoked too; what they signed before stays good."""
    return [_published(key) for key in AuditorKey.objects.order_by("valid_from", "kid")]


def register() -> None:
    """Have them published with the exchange's own."""
    publish_also(auditor_jwks)


def _published(key: AuditorKey) -> dict[str, Any]:
    jwk = {**key.public_jwk, "auditor": key.auditor, "nbf": int(key.valid_from.timestamp())}
    if key.revoked_at is not None:
        jwk["revoked"] = {"revoked_at": int(key.revoked_at.timestamp())}
    return jwk
