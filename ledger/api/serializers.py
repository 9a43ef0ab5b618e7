"""The shapes of balances and API keys outside."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ledger.api.fields import StrictSerializer, TextField
from ledger.chart import AssetKind
from ledger.money import format_micros
from ledger.parties.keys import Scope
from ledger.selectors.accounts import Balance


class TimeSerializer(serializers.Serializer[Any]):
    """The market's clock."""

    now = serializers.DateTimeField(help_text="UTC. Every time the product records comes from this clock.")


class BalanceSerializer(serializers.Serializer[Balance]):
    """One account. Currencies as decimal strings, contract tokens as integer strings."""

    asset = serializers.CharField(help_text="A currency, or the symbol of a contract whose tokens are counted.")
    asset_kind = serializers.CharField()
    role = serializers.CharField(help_text="cash, entitlement, obligation, …")
    qualifier = serializers.CharField()
    balance = serializers.SerializerMethodField()
    held = serializers.SerializerMethodField(help_text="Kept back for open orders, bonds and overage.")
    available = serializers.SerializerMethodField(help_text="What may still be used; null when unbounded.")

    def get_balance(self, account: Balance) -> str:
        return _amount(account, account.balance)

    def get_held(self, account: Balance) -> str:
        return _amount(account, account.held)

    def get_available(self, account: Balance) -> str | None:
        return None if account.available is None else _amount(account, account.available)


class BalancesSerializer(serializers.Serializer[Any]):
    """All accounts of the caller's party."""

    items = BalanceSerializer(many=True)


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


def _amount(account: Balance, amount: int) -> str:
    return format_micros(amount) if account.asset_kind == AssetKind.CURRENCY else str(amount)
