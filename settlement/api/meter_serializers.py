"""The shapes of meters and their keys outside."""

from __future__ import annotations

import json
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ledger.api.fields import StrictSerializer
from settlement.metering.public_keys import parse_public_key
from settlement.metering.signatures import base64url
from settlement.models import Meter, MeterKey


@extend_schema_field({"oneOf": [{"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$"}, {"type": "object"}]})
class PublicKeyField(serializers.Field[bytes, Any, str, Any]):
    """An Ed25519 public key: base64url, a JWK or a PEM comes in, base64url goes out."""

    def to_internal_value(self, data: Any) -> bytes:
        return parse_public_key(data)

    def to_representation(self, value: bytes) -> str:
        return base64url(bytes(value))


class NewMeterKeySerializer(StrictSerializer):
    """The public key to register."""

    public_key = PublicKeyField(
        help_text="Base64url of the 32 bytes, a JWK or a PEM. The private key stays with the meter."
    )


class MeterKeySerializer(serializers.Serializer[MeterKey]):
    """A meter's public key. `thumbprint` (RFC 7638) is the `keyid` of its signatures."""

    thumbprint = serializers.CharField()
    public_key = PublicKeyField(read_only=True)
    registered_at = serializers.DateTimeField()
    registered_by = serializers.CharField()
    revoked_at = serializers.DateTimeField(allow_null=True)
    revoked_by = serializers.CharField()


class MeterSerializer(serializers.Serializer[Meter]):
    """A source of usage events. `code` is what it writes as CloudEvents `source`."""

    code = serializers.CharField()
    party = serializers.CharField(source="party.code")
    side = serializers.CharField()
    signature_required = serializers.BooleanField(help_text="What it sends unsigned is rejected.")
    registered_at = serializers.DateTimeField()
    keys = MeterKeySerializer(source="keys.all", many=True)  # newest first, as prefetched


def kept_key(key: MeterKey) -> dict[str, Any]:
    """A key as JSON that can be kept with an answer."""
    shown: dict[str, Any] = json.loads(json.dumps(MeterKeySerializer(key).data))
    return shown
