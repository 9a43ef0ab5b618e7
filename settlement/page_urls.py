"""Addresses of the settlement's pages."""

from __future__ import annotations

from django.urls import include, path

from settlement import case_pages, pages, run_pages, usage_pages, usage_record_pages

urlpatterns = [
    path("statements/", pages.statements, name="statements"),
    path("statements/<int:number>/", pages.statement, name="statement"),
    path("statements/<int:number>/file", pages.statement_file, name="statement-file"),
    path("statements/<int:number>/files/<slug:form>", pages.statement_file, name="statement-form"),
    path("statements/<int:number>/records/<int:record>/", pages.statement_record, name="statement-record"),
    path("usage/", usage_pages.usage, name="usage"),
    path("usage/records/", usage_record_pages.usage_records, name="usage-records"),
    path("usage/quarantine/", usage_record_pages.usage_quarantine, name="usage-quarantine"),
    path("usage/calls/", usage_record_pages.usage_calls, name="usage-calls"),
    path("usage/calls/<int:number>/", usage_record_pages.usage_call, name="usage-call"),
    path("usage/calls/<int:number>/evidence", usage_record_pages.usage_call_evidence, name="usage-call-evidence"),
    path("cases/", case_pages.cases, name="cases"),
    path("cases/<int:number>/", case_pages.case, name="case"),
    path("", include("settlement.dispute_urls")),
    path("", include("settlement.payment_urls")),
    path("audit/", pages.audit, name="audit"),
    path("audit/runs/", run_pages.runs, name="runs"),
    path("audit/runs/<int:number>/", run_pages.run, name="run"),
    path("audit/runs/<int:number>/progress", run_pages.run_progress, name="run-progress"),
    path("audit/runs/<int:number>/lines/", run_pages.run_lines, name="run-lines"),
]
