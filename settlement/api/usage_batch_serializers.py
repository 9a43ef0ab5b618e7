"""The shapes of meters' calls and of their evidence outside."""

from __future__ import annotations

from rest_framework import serializers

from ledger.api.fields import DigestField
from settlement.models import UsageBatch
from settlement.selectors.usage_batches import SignedCall


class UsageBatchSerializer(serializers.Serializer[UsageBatch]):
    """A call of a party's meters, and what became of its events."""

    id = serializers.CharField()
    party = serializers.CharField(source="party_code")
    actor = serializers.CharField(help_text="The API key that made the call.")
    received_at = serializers.DateTimeField()
    body_digest = DigestField(help_text="SHA-256 of the body as it arrived; empty if it is not known.")
    signed = serializers.BooleanField(help_text="Whether there is `evidence` of it.")
    accepted = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    conflicts = serializers.IntegerField()
    quarantined = serializers.IntegerField()
    rejected = serializers.IntegerField()


class SignedCallSerializer(serializers.Serializer[SignedCall]):
    """All that proves a signed call: save it and check it with `python -m settlement.metering.verify_call FILE`."""

    schema = serializers.CharField()
    call = serializers.CharField(help_text="Id of the call.")
    party = serializers.CharField()
    meter = serializers.CharField()
    received_at = serializers.CharField()
    method = serializers.CharField()
    path = serializers.CharField()
    headers = serializers.DictField(child=serializers.CharField(), help_text="Those that the signature needs.")
    body = serializers.CharField(help_text="Base64 of the body as it arrived, compressed or not.")
    digest = serializers.CharField(help_text="SHA-256 of the body as it arrived, in hexadecimal.")
    public_key = serializers.CharField(help_text="The meter's Ed25519 public key, in base64url.")
