"""Addresses of the pages about payments and invoices."""

from __future__ import annotations

from django.urls import path

from settlement import payment_pages

urlpatterns = [
    path("payments/", payment_pages.payments, name="payments"),
    path("payments/nettings/", payment_pages.nettings, name="nettings"),
    path("payments/nettings/<int:number>/", payment_pages.netting, name="netting"),
    path("payments/files/<int:number>/file", payment_pages.payment_file, name="payment-file"),
    path("payments/imports/<int:number>/", payment_pages.confirmation, name="confirmation"),
    path("invoices/", payment_pages.invoices, name="invoices"),
    path("invoices/<int:run>/file", payment_pages.invoice_file, name="invoice-file"),
]
