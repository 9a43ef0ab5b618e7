"""Meters and the keys they sign with, for their own party."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ledger.api.authentication import caller_of
from ledger.api.base import PageView, PartyView, refuse_unknown_parameters
from ledger.api.idempotency import IDEMPOTENCY_KEY, answer_once
from ledger.api.schema import refusals
from ledger.clock import get_clock
from ledger.parties.keys import Scope
from settlement.api.meter_serializers import MeterKeySerializer, MeterSerializer, NewMeterKeySerializer, kept_key
from settlement.commands.register_meter_key import RegisterMeterKey, register_meter_key
from settlement.commands.revoke_meter_key import RevokeMeterKey, revoke_meter_key
from settlement.metering.signatures import base64url
from settlement.models import Meter
from settlement.selectors.meters import get_meter, list_meters

METER_CODE = OpenApiParameter("code", OpenApiTypes.STR, OpenApiParameter.PATH, description="Code of the meter.")
THUMBPRINT = OpenApiParameter(
    "thumbprint", OpenApiTypes.STR, OpenApiParameter.PATH, description="RFC 7638, of the key."
)


class MetersView(PartyView, PageView[Meter]):
    """The meters of the caller's party."""

    scopes: ClassVar = {"GET": (Scope.METER, Scope.READ, Scope.AUDIT)}
    serializer_class = MeterSerializer

    def get_queryset(self) -> QuerySet[Meter]:
        return list_meters(caller_of(self.request).readable_parties)

    @extend_schema(tags=["metering"], operation_id="list_meters", responses=refusals(400, 401, 403))
    def get(self, request: Request) -> Response:
        """The party's meters with their public keys, newest first; every party's for an auditor's key."""
        return self.list(request)


class MeterKeysView(PartyView):
    """The keys of one meter."""

    scopes: ClassVar = {"POST": (Scope.METER,)}

    @extend_schema(
        tags=["metering"],
        operation_id="register_meter_key",
        parameters=[METER_CODE, IDEMPOTENCY_KEY],
        request=NewMeterKeySerializer,
        responses={201: MeterKeySerializer, 200: MeterKeySerializer} | refusals(400, 401, 403, 404, 409),
    )
    def post(self, request: Request, code: str) -> Response:
        """Register the public half of a key that the meter will sign its calls with, beside those it has.

        For a meter that sends signed calls only a person of its party does so by the web: an API key alone must not be
        enough to speak for it.
        """
        refuse_unknown_parameters(request, ())
        body = NewMeterKeySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        caller, now = caller_of(request), get_clock().now()
        meter = get_meter(code, [caller.party_id])
        command = RegisterMeterKey(meter.pk, body.validated_data["public_key"], by_api_key=True)

        def act() -> dict[str, Any]:
            return kept_key(register_meter_key(command, actor=caller.actor, now=now))

        content = {"meter": meter.code, "public_key": base64url(command.public_key)}
        answer = answer_once(request, "register_meter_key", content, act, now=now)
        return Response(answer.content, status=answer.status)


class MeterKeyRevocationView(PartyView):
    """The end of one key."""

    scopes: ClassVar = {"POST": (Scope.METER,)}

    @extend_schema(
        tags=["metering"],
        operation_id="revoke_meter_key",
        parameters=[METER_CODE, THUMBPRINT, IDEMPOTENCY_KEY],
        request=None,
        responses={201: MeterKeySerializer, 200: MeterKeySerializer} | refusals(400, 401, 403, 404, 409),
    )
    def post(self, request: Request, code: str, thumbprint: str) -> Response:
        """Revoke a key at once, for ever. What it signed before stays signed."""
        refuse_unknown_parameters(request, ())
        caller, now = caller_of(request), get_clock().now()
        meter = get_meter(code, [caller.party_id])
        command = RevokeMeterKey(meter.pk, thumbprint[:43])

        def act() -> dict[str, Any]:
            return kept_key(revoke_meter_key(command, actor=caller.actor, now=now))

        content = {"meter": meter.code, "thumbprint": command.thumbprint}
        answer = answer_once(request, "revoke_meter_key", content, act, now=now)
        return Response(answer.content, status=answer.status)
