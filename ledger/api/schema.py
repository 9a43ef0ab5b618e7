"""How the interface describes itself: the key scheme, and the refusals that operations share."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers

PROBLEM_TYPE = "application/problem+json"
_DESCRIPTIONS = {
    400: "The request makes no sense; correct it.",
    401: "No API key, or one that is unknown or revoked.",
    403: "The key's scopes do not cover this.",
    404: "No such thing, or none that the caller may see.",
    409: "It contradicts what is already recorded.",
    413: "The body is too large.",
    422: "Well formed, but the rules of the market say no.",
    503: "Not now; try again after `Retry-After` seconds.",
}


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself, untyped
    """The bearer key, for OpenAPI."""

    target_class = "ledger.api.authentication.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "tb_<prefix>_<secret>"}


class ProblemBodySerializer(serializers.Serializer[Any]):
    """An RFC 9457 problem. Beside these members stand the figures that the failing rule used."""

    type = serializers.CharField(help_text="Relative address of the description, `/problems/<code>`.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What was wrong and what to do.")
    code = serializers.CharField(help_text="Stable; `/api/v1/problems` lists them all.")


def refusals(*statuses: int) -> dict[tuple[int, str], OpenApiResponse]:
    """Problem responses of an operation, for `extend_schema`."""
    return {
        (status, PROBLEM_TYPE): OpenApiResponse(ProblemBodySerializer, description=_DESCRIPTIONS[status])
        for status in statuses
    }
