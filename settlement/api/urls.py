"""Routes of metering and settlement, below `/api/v1/`."""

from __future__ import annotations

from django.urls import include, path

from settlement.api.case_views import BiasRegisterView, CaseStatementsView, CasesView, CaseView
from settlement.api.completeness_views import UsageCompletenessView
from settlement.api.meter_views import MeterKeyRevocationView, MeterKeysView, MetersView
from settlement.api.opinion_views import StatementOpinionsView
from settlement.api.run_views import SettlementRunsView, SettlementRunView
from settlement.api.usage_batch_views import UsageBatchesView, UsageBatchEvidenceView, UsageBatchView
from settlement.api.usage_event_views import UsageEventsView
from settlement.api.usage_minute_views import UsageMinutesView
from settlement.api.usage_record_views import UsageRecordsView
from settlement.api.views import (
    StatementFileView,
    StatementFormView,
    StatementProofView,
    StatementRecordsView,
    StatementRecordView,
    StatementsView,
    StatementView,
)

urlpatterns = [
    path("usage-events", UsageEventsView.as_view(), name="api-usage-events"),
    path("usage-records", UsageRecordsView.as_view(), name="api-usage-records"),
    path("usage-batches", UsageBatchesView.as_view(), name="api-usage-batches"),
    path("usage-batches/<int:id>", UsageBatchView.as_view(), name="api-usage-batch"),
    path("usage-batches/<int:id>/evidence", UsageBatchEvidenceView.as_view(), name="api-usage-batch-evidence"),
    path("meters", MetersView.as_view(), name="api-meters"),
    path("meters/<path:code>/keys", MeterKeysView.as_view(), name="api-meter-keys"),
    path(
        "meters/<path:code>/keys/<str:thumbprint>/revoke",
        MeterKeyRevocationView.as_view(),
        name="api-meter-key-revocation",
    ),
    path("usage-minutes", UsageMinutesView.as_view(), name="api-usage-minutes"),
    path("usage-completeness", UsageCompletenessView.as_view(), name="api-usage-completeness"),
    path("discrepancy-cases", CasesView.as_view(), name="api-discrepancy-cases"),
    path("discrepancy-cases/<int:id>", CaseView.as_view(), name="api-discrepancy-case"),
    path("discrepancy-cases/<int:id>/statements", CaseStatementsView.as_view(), name="api-discrepancy-case-statements"),
    path("bias-register", BiasRegisterView.as_view(), name="api-bias-register"),
    path("statements", StatementsView.as_view(), name="api-statements"),
    path("statements/<int:id>", StatementView.as_view(), name="api-statement"),
    path("statements/<int:id>/download", StatementFileView.as_view(), name="api-statement-download"),
    path("statements/<int:id>/files/<str:form>", StatementFormView.as_view(), name="api-statement-form"),
    path("statements/<int:id>/records", StatementRecordsView.as_view(), name="api-statement-records"),
    path("statements/<int:id>/records/<int:number>", StatementRecordView.as_view(), name="api-statement-record"),
    path("statements/<int:id>/proof", StatementProofView.as_view(), name="api-statement-proof"),
    path("statements/<int:id>/opinions", StatementOpinionsView.as_view(), name="api-statement-opinions"),
    path("settlement-runs", SettlementRunsView.as_view(), name="api-settlement-runs"),
    path("settlement-runs/<int:id>", SettlementRunView.as_view(), name="api-settlement-run"),
    path("", include("settlement.api.dispute_urls")),
    path("", include("settlement.api.payment_urls")),
]
