"""Routes of the ledger, below `/api/v1/`."""

from __future__ import annotations

from django.urls import path, register_converter

from ledger.api import account_views as accounts
from ledger.api import evidence_views as evidence
from ledger.api.views import KeysView, KeyView, TimeView


class KeyPrefix:
    """The public part of an API key."""

    regex = "[0-9a-z]{1,16}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class Period:
    """The name of a sealed period."""

    regex = "[0-9A-Za-z-]{1,40}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(KeyPrefix, "key_prefix")
register_converter(Period, "period")

urlpatterns = [
    path("time", TimeView.as_view(), name="api-time"),
    path("balances", accounts.BalancesView.as_view(), name="api-balances"),
    path("keys", KeysView.as_view(), name="api-keys"),
    path("keys/<key_prefix:prefix>", KeyView.as_view(), name="api-key"),
    path("ledger/accounts", accounts.AccountsView.as_view(), name="api-accounts"),
    path("ledger/accounts/<int:id>", accounts.AccountView.as_view(), name="api-account"),
    path("ledger/accounts/<int:id>/entries", accounts.EntriesView.as_view(), name="api-entries"),
    path("ledger/accounts/<int:id>/holds", accounts.HoldEntriesView.as_view(), name="api-hold-entries"),
    path("ledger/transactions", accounts.TransactionsView.as_view(), name="api-transactions"),
    path("ledger/transactions/<int:id>", accounts.TransactionView.as_view(), name="api-transaction"),
    path("ledger/transactions/<int:id>/proof", evidence.TransactionProofView.as_view(), name="api-transaction-proof"),
    path("ledger/checkpoints", evidence.CheckpointsView.as_view(), name="api-checkpoints"),
    path("ledger/log/consistency", evidence.ConsistencyView.as_view(), name="api-consistency"),
    path("ledger/seals", evidence.SealsView.as_view(), name="api-seals"),
    path("ledger/seals/<period:period>/proof", evidence.SealedBalanceProofView.as_view(), name="api-seal-proof"),
    path("ledger/audit-runs", evidence.AuditRunsView.as_view(), name="api-audit-runs"),
    path("ledger/audit-runs/<int:id>", evidence.AuditRunView.as_view(), name="api-audit-run"),
]
