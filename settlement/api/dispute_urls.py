"""Routes of disputes, below `/api/v1/`."""

from __future__ import annotations

from django.urls import path

from settlement.api.dispute_views import (
    DisputeEntriesView,
    DisputeEvidenceView,
    DisputesView,
    DisputeView,
    DisputeWithdrawalView,
    NoticesView,
)

urlpatterns = [
    path("disputes", DisputesView.as_view(), name="api-disputes"),
    path("disputes/<int:id>", DisputeView.as_view(), name="api-dispute"),
    path("disputes/<int:id>/entries", DisputeEntriesView.as_view(), name="api-dispute-entries"),
    path("disputes/<int:id>/withdraw", DisputeWithdrawalView.as_view(), name="api-dispute-withdrawal"),
    path("disputes/<int:id>/evidence/<int:evidence>", DisputeEvidenceView.as_view(), name="api-dispute-evidence"),
    path("notices", NoticesView.as_view(), name="api-notices"),
]
