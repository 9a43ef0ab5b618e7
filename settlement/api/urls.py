"""Routes of metering and settlement, below `/api/v1/`."""

from __future__ import annotations

from django.urls import path

from settlement.api.views import StatementFileView, StatementsView, StatementView, UsageEventsView

urlpatterns = [
    path("usage-events", UsageEventsView.as_view(), name="api-usage-events"),
    path("statements", StatementsView.as_view(), name="api-statements"),
    path("statements/<int:id>", StatementView.as_view(), name="api-statement"),
    path("statements/<int:id>/download", StatementFileView.as_view(), name="api-statement-download"),
]
