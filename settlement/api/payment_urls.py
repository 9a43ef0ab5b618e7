"""Routes of nettings, payments and invoice rows, below `/api/v1/`."""

from __future__ import annotations

from django.urls import path

from settlement.api.payment_views import (
    InstructionsView,
    InstructionView,
    InvoiceFileView,
    InvoiceRowsView,
    NettedPartiesView,
    PayoutAccountsView,
)

urlpatterns = [
    path("nettings", NettedPartiesView.as_view(), name="api-nettings"),
    path("payments", InstructionsView.as_view(), name="api-payments"),
    path("payments/<int:id>", InstructionView.as_view(), name="api-payment"),
    path("payout-accounts", PayoutAccountsView.as_view(), name="api-payout-accounts"),
    path("invoice-rows", InvoiceRowsView.as_view(), name="api-invoice-rows"),
    path("invoice-rows/download", InvoiceFileView.as_view(), name="api-invoice-rows-download"),
]
