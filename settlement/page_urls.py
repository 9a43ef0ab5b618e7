"""Addresses of the settlement's pages."""

from __future__ import annotations

from django.urls import path

from settlement import pages

urlpatterns = [
    path("statements/", pages.statements, name="statements"),
    path("statements/<int:number>/", pages.statement, name="statement"),
    path("statements/<int:number>/file", pages.statement_file, name="statement-file"),
    path("audit/", pages.audit, name="audit"),
    path("audit/runs/", pages.runs, name="runs"),
    path("audit/runs/<int:number>/", pages.run, name="run"),
]
