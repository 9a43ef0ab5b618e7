"""The calls that a party's meters made."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ledger.api.authentication import caller_of
from ledger.api.base import PageView, PartyView, refuse_unknown_parameters
from ledger.api.schema import refusals
from ledger.parties.keys import Scope
from settlement.api.filters import UsageBatchFilter
from settlement.api.usage_batch_serializers import SignedCallSerializer, UsageBatchSerializer
from settlement.models import UsageBatch
from settlement.selectors.usage_batches import get_signed_call, get_usage_batch, list_usage_batches

CALL_ID = OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH)
OWN_CALLS = (Scope.METER, Scope.READ, Scope.AUDIT)


class UsageBatchesView(PartyView, PageView[UsageBatch]):
    """Calls with usage events."""

    scopes: ClassVar = {"GET": OWN_CALLS}
    serializer_class = UsageBatchSerializer
    filterset_class = UsageBatchFilter

    def get_queryset(self) -> QuerySet[UsageBatch]:
        return list_usage_batches(caller_of(self.request).readable_parties)

    @extend_schema(tags=["metering"], operation_id="list_usage_batches", responses=refusals(400, 401, 403))
    def get(self, request: Request) -> Response:
        """The calls of the party's meters, newest first, with what became of their events; all for an auditor's key."""
        return self.list(request)


class UsageBatchView(PartyView):
    """One call."""

    scopes: ClassVar = {"GET": OWN_CALLS}

    @extend_schema(
        tags=["metering"],
        operation_id="get_usage_batch",
        parameters=[CALL_ID],
        responses={200: UsageBatchSerializer} | refusals(400, 401, 403, 404),
    )
    def get(self, request: Request, id: int) -> Response:
        """A call, and how many of its events were accepted, duplicates, conflicts, quarantined and rejected."""
        refuse_unknown_parameters(request, ())
        return Response(UsageBatchSerializer(get_usage_batch(id, caller_of(request).readable_parties)).data)


class UsageBatchEvidenceView(PartyView):
    """What proves one signed call."""

    scopes: ClassVar = {"GET": OWN_CALLS}

    @extend_schema(
        tags=["metering"],
        operation_id="get_usage_batch_evidence",
        parameters=[CALL_ID],
        responses={200: SignedCallSerializer} | refusals(400, 401, 403, 404),
    )
    def get(self, request: Request, id: int) -> Response:
        """A signed call with its body, signature and key, to be checked offline. 404 for one that was not signed."""
        refuse_unknown_parameters(request, ())
        batch = get_usage_batch(id, caller_of(request).readable_parties)
        return Response(SignedCallSerializer(get_signed_call(batch)).data)
