"""Discrepancy cases and the bias register, for both sides and the auditor."""

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
from settlement.api.case_filters import CaseFilter
from settlement.api.case_serializers import (
    CaseDetailSerializer,
    CaseSerializer,
    NewStatementSerializer,
    RegisterSerializer,
)
from settlement.commands.state_in_case import StateInCase, state_in_case
from settlement.models import DiscrepancyCase, PairReconciliation
from settlement.selectors.cases import get_case, list_cases, list_registered_pairs, read_registers

READING = (Scope.READ, Scope.METER, Scope.AUDIT)
CASE_ID = OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH)


class CasesView(PartyView, PageView[DiscrepancyCase]):
    """Where the meters of both sides disagree."""

    scopes: ClassVar = {"GET": READING}
    serializer_class = CaseSerializer
    filterset_class = CaseFilter

    def get_queryset(self) -> QuerySet[DiscrepancyCase]:
        return list_cases(caller_of(self.request).readable_parties)

    @extend_schema(tags=["metering"], operation_id="list_discrepancy_cases", responses=refusals(400, 401, 403))
    def get(self, request: Request) -> Response:
        """The cases of the party with others, newest first; everybody's for an auditor's key."""
        return self.list(request)


class CaseView(PartyView):
    """One case."""

    scopes: ClassVar = {"GET": READING}

    @extend_schema(
        tags=["metering"],
        operation_id="get_discrepancy_case",
        parameters=[CASE_ID],
        responses={200: CaseDetailSerializer} | refusals(400, 401, 403, 404),
    )
    def get(self, request: Request, id: int) -> Response:
        """A case with all that happened in it, and the requests it is about."""
        refuse_unknown_parameters(request, ())
        return Response(CaseDetailSerializer(get_case(id, caller_of(request).readable_parties)).data)


class CaseStatementsView(PartyView):
    """What a party has to say in a case."""

    scopes: ClassVar = {"POST": (Scope.METER, Scope.TRADE)}

    @extend_schema(
        tags=["metering"],
        operation_id="state_in_discrepancy_case",
        parameters=[CASE_ID, IDEMPOTENCY_KEY],
        request=NewStatementSerializer,
        responses={201: CaseDetailSerializer, 200: CaseDetailSerializer} | refusals(400, 401, 403, 404, 409, 422),
    )
    def post(self, request: Request, id: int) -> Response:
        """Make a statement in a case of the party's own that is not decided; the other side and the auditor read it."""
        refuse_unknown_parameters(request, ())
        body = NewStatementSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        caller, now = caller_of(request), get_clock().now()
        command = StateInCase(id, caller.party_id, body.validated_data["text"])

        def act() -> dict[str, Any]:
            state_in_case(command, actor=caller.actor, now=now)
            return dict(CaseDetailSerializer(get_case(id, [caller.party_id])).data)

        answer = answer_once(request, "state_in_case", {"case": str(id), "text": command.text}, act, now=now)
        return Response(answer.content, status=answer.status)


class BiasRegisterView(PartyView, PageView[PairReconciliation]):
    """Whose figures lean."""

    scopes: ClassVar = {"GET": READING}
    serializer_class = RegisterSerializer  # type: ignore[assignment]  # renders the registers of the rows

    def get_queryset(self) -> QuerySet[PairReconciliation]:
        return list_registered_pairs(caller_of(self.request).readable_parties)

    def rendered(self, page: Any) -> Any:
        return read_registers(page)

    @extend_schema(tags=["metering"], operation_id="list_bias_register", responses=refusals(400, 401, 403))
    def get(self, request: Request) -> Response:
        """The signed bias register of the party's pairs, a row a counterparty and product; all for an auditor's key.

        A pair whose figures lean one way inside the tolerance has none in the windows that start after that was found.
        """
        return self.list(request)
