"""Settlement runs, for the auditor and the operator."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ledger.api.base import PageView, PartyView, refuse_unknown_parameters
from ledger.api.schema import refusals
from ledger.parties.keys import Scope
from settlement.api.filters import SettlementRunFilter
from settlement.api.run_serializers import SettlementRunDetailSerializer, SettlementRunSerializer
from settlement.models import SettlementRun
from settlement.selectors.runs import get_run, list_runs


class SettlementRunsView(PartyView, PageView[SettlementRun]):
    """Settlement runs."""

    scopes: ClassVar = {"GET": (Scope.AUDIT,)}
    serializer_class = SettlementRunSerializer
    filterset_class = SettlementRunFilter

    def get_queryset(self) -> QuerySet[SettlementRun]:
        return list_runs().select_related("product")

    @extend_schema(tags=["settlement"], operation_id="list_settlement_runs", responses=refusals(400, 401, 403))
    def get(self, request: Request) -> Response:
        """All settlement runs, newest first."""
        return self.list(request)


class SettlementRunView(PartyView):
    """One settlement run."""

    scopes: ClassVar = {"GET": (Scope.AUDIT,)}

    @extend_schema(
        tags=["settlement"],
        operation_id="get_settlement_run",
        parameters=[OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH)],
        responses={200: SettlementRunDetailSerializer} | refusals(400, 401, 403, 404),
    )
    def get(self, request: Request, id: int) -> Response:
        """A settlement run, how far each of its steps is, and which of its jobs failed and why."""
        refuse_unknown_parameters(request, ())
        return Response(SettlementRunDetailSerializer(get_run(id)).data)
