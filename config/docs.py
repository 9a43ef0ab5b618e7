"""The interface's description: OpenAPI, and Swagger UI under a policy that lets nothing in but our own static files."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response

# Swagger UI sets inline styles and draws its icons from data: addresses; scripts come from our static files alone.
CONTENT_POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"


class SchemaView(SpectacularAPIView):
    """The OpenAPI document."""

    authentication_classes = ()


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI. Its script comes from the same address with `?script=`."""

    authentication_classes = ()
    url_self = "/api/docs"

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        response["Content-Security-Policy"] = CONTENT_POLICY
        return response
