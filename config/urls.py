"""Every address of the product."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from config.docs import DocsView, SchemaView
from config.problems import ProblemsView, ProblemView
from ledger.api.checkpoint_views import CheckpointView, LatestCheckpointView
from ledger.api.views import JwksView

handler400 = "config.api_errors.bad_request"
handler404 = "config.api_errors.page_not_found"
handler500 = "config.api_errors.server_error"

api_v1: list[URLPattern | URLResolver] = [
    path("", include("ledger.api.urls")),
    path("", include("exchange.api.urls")),
    path("", include("settlement.api.urls")),
    path("problems", ProblemsView.as_view(), name="api-problems"),
]

urlpatterns = [
    path("api/v1/", include(api_v1)),
    path("api/schema", SchemaView.as_view(), name="schema"),
    path("api/docs", DocsView.as_view(), name="api-docs"),
    path("problems/<slug:code>", ProblemView.as_view(), name="problem"),
    path(".well-known/jwks.json", JwksView.as_view(), name="jwks"),
    path("checkpoint", LatestCheckpointView.as_view(), name="checkpoint"),
    path("checkpoint/<int:size>", CheckpointView.as_view(), name="checkpoint-of-size"),
    path("admin/", admin.site.urls),
    path("", include("exchange.page_urls")),
    path("", include("settlement.page_urls")),
    path("", include("ledger.page_urls")),
]
