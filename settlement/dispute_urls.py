"""Addresses of the pages of disputes and notices."""

from __future__ import annotations

from django.urls import path

from settlement import dispute_pages

urlpatterns = [
    path("disputes/", dispute_pages.disputes, name="disputes"),
    path("disputes/<int:number>/", dispute_pages.dispute, name="dispute"),
    path("disputes/<int:number>/evidence/<int:evidence>", dispute_pages.evidence_file, name="dispute-evidence"),
    path("notices/", dispute_pages.notices, name="notices"),
]
