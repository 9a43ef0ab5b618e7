"""Routes of the ledger, below `/api/v1/`."""

from __future__ import annotations

from django.urls import path, register_converter

from ledger.api.views import BalancesView, KeysView, KeyView, TimeView


class KeyPrefix:
    """The public part of an API key."""

    regex = "[0-9a-z]{1,16}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(KeyPrefix, "key_prefix")

urlpatterns = [
    path("time", TimeView.as_view(), name="api-time"),
    path("balances", BalancesView.as_view(), name="api-balances"),
    path("keys", KeysView.as_view(), name="api-keys"),
    path("keys/<key_prefix:prefix>", KeyView.as_view(), name="api-key"),
]
