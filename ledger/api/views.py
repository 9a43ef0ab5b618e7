"""API keys, the clock and the public signing keys."""

from __future__ import annotations

from typing import Any

from django.utils.cache import patch_cache_control
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ledger.api.authentication import caller_of
from ledger.api.base import PartyView, PublicView
from ledger.api.idempotency import IDEMPOTENCY_KEY, answer_once
from ledger.api.keys import issue_own_key, list_own_keys, revoke_own_key
from ledger.api.schema import refusals
from ledger.api.serializers import (
    IssuedKeySerializer,
    KeySerializer,
    KeysSerializer,
    NewKeySerializer,
    TimeSerializer,
)
from ledger.clock import get_clock
from ledger.keys.ring import public_jwks

JWKS_SECONDS = 300


class TimeView(PublicView):
    """The market's clock."""

    @extend_schema(tags=["market"], operation_id="get_time", responses=TimeSerializer, auth=[])
    def get(self, request: Request) -> Response:
        """The time by which gates open and close."""
        return Response(TimeSerializer({"now": get_clock().now()}).data)


class JwksView(PublicView):
    """The keys that statements are signed with."""

    @extend_schema(tags=["statements"], operation_id="get_jwks", responses=OpenApiTypes.OBJECT, auth=[])
    def get(self, request: Request) -> Response:
        """Every public signing key ever used, as a JWK set (RFC 7517), for verification offline."""
        response = Response(public_jwks())
        patch_cache_control(response, public=True, max_age=JWKS_SECONDS)
        return response


class KeysView(PartyView):
    """The API keys of the caller's party."""

    @extend_schema(tags=["keys"], operation_id="list_keys", responses={200: KeysSerializer} | refusals(401))
    def get(self, request: Request) -> Response:
        """All keys of the party, revoked ones included; never their secrets."""
        return Response(KeysSerializer({"items": list_own_keys(caller_of(request))}).data)

    @extend_schema(
        tags=["keys"],
        operation_id="issue_key",
        parameters=[IDEMPOTENCY_KEY],
        request=NewKeySerializer,
        responses={201: IssuedKeySerializer, 200: IssuedKeySerializer} | refusals(400, 401, 403, 409),
    )
    def post(self, request: Request) -> Response:
        """Issue a key with at most the scopes of the calling key. Its text is in the first answer alone."""
        body = NewKeySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        now = get_clock().now()
        shown: dict[str, str] = {}

        def act() -> dict[str, Any]:
            issued = issue_own_key(caller_of(request), **body.validated_data, now=now)
            shown["key"] = issued.text
            return dict(KeySerializer(issued.key).data)

        answer = answer_once(request, "issue_key", body.validated_data, act, now=now)
        response = Response({**answer.content, "key": shown.get("key")}, status=answer.status)
        patch_cache_control(response, no_store=True)
        return response


class KeyView(PartyView):
    """One API key of the caller's party."""

    @extend_schema(
        tags=["keys"],
        operation_id="revoke_key",
        parameters=[OpenApiParameter("prefix", str, OpenApiParameter.PATH)],
        responses={200: KeySerializer} | refusals(401, 403, 404),
    )
    def delete(self, request: Request, prefix: str) -> Response:
        """Revoke a key at once, for ever. A repeat changes nothing and answers the same."""
        return Response(KeySerializer(revoke_own_key(caller_of(request), prefix, now=get_clock().now())).data)
