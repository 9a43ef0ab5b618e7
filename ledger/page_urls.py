"""Addresses of the ledger's pages."""

from __future__ import annotations

from django.urls import path

from ledger import pages

urlpatterns = [
    path("audit/journal/", pages.journal, name="journal"),
    path("audit/journal/<int:number>/", pages.journal_transaction, name="journal-transaction"),
    path("audit/batches/", pages.batches, name="batches"),
    path("audit/actions/", pages.actions, name="actions"),
    path("accounts/<int:number>/", pages.account, name="account"),
]
