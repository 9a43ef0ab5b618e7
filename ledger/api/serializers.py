"""The shapes of the clock and of API keys outside."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ledger.api.fields import StrictSerializer, TextField
from ledger.parties.keys import Scope


class TimeSerializer(serializers.Serializer[Any]):
    """The market's clock."""

    now = serializers.DateTimeField(help_text="UTC. Every time the product records comes from this clock.")


class NewKeySerializer(StrictSerializer):
    """The key to issue, for the caller's own party."""

    label = TextField(max_length=80, help_text="What the key is for.")  # type: ignore[assignment]  # a field so named
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=[scope.value for scope in Scope]),
        allow_empty=False,
        help_text="At most the scopes of the calling key.",
    )


class KeySerializer(serializers.Serializer[Any]):
    """An API key, without its secret."""

    prefix = serializers.CharField(help_text="The public part; names the key.")
    label = serializers.CharField()  # type: ignore[assignment]  # a field so named
    scopes = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    revoked_at = serializers.DateTimeField(allow_null=True)


class IssuedKeySerializer(KeySerializer):
    """A new key. `key` is shown in the first answer alone, and null in a repeat: only a hash of it is kept."""

    key = serializers.CharField(allow_null=True)


class KeysSerializer(serializers.Serializer[Any]):
    """All keys of the caller's party, newest first."""

    items = KeySerializer(many=True)
