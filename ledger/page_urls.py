"""Addresses of the ledger's pages."""

from __future__ import annotations

from django.urls import path

from ledger import pages
from ledger.audit import pages as audit_pages

urlpatterns = [
    path("audit/journal/", pages.journal, name="journal"),
    path("audit/journal/<int:number>/", pages.journal_transaction, name="journal-transaction"),
    path("audit/batches/", pages.batches, name="batches"),
    path("audit/checks/", audit_pages.audit_runs, name="audit-runs"),
    path("audit/checks/<int:number>/", audit_pages.audit_run, name="audit-run"),
    path("audit/actions/", pages.actions, name="actions"),
    path("accounts/<int:number>/", pages.account, name="account"),
]
