"""Usage events in, statements out."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ledger.api.authentication import caller_of
from ledger.api.base import PageView, PartyView
from ledger.api.errors import InvalidRequest
from ledger.api.files import OnlyForm
from ledger.api.schema import refusals
from ledger.clock import get_clock
from ledger.parties.keys import Scope
from settlement.api.filters import StatementFilter
from settlement.api.parsers import CloudEventBatchParser, CloudEventParser, UsageJSONParser
from settlement.api.serializers import (
    StatementDetailSerializer,
    StatementSerializer,
    UsageEventSerializer,
    UsageResultsSerializer,
)
from settlement.api.statement_file import FILE_TYPE, StatementFileRenderer
from settlement.metering.ingestion import MAX_BATCH, ingest
from settlement.models import Statement
from settlement.selectors.statements import get_statement, list_statements

READING = (Scope.READ, Scope.AUDIT)
STATEMENT_ID = OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH)
MIB = 1024 * 1024


class UsageEventsView(PartyView):
    """Where meters report."""

    scopes: ClassVar = {"POST": (Scope.METER,)}
    parser_classes = (UsageJSONParser, CloudEventParser, CloudEventBatchParser)
    body_bytes_max = 10 * MIB

    @extend_schema(
        tags=["metering"],
        operation_id="post_usage_events",
        request={
            CloudEventBatchParser.media_type: UsageEventSerializer(many=True),
            CloudEventParser.media_type: UsageEventSerializer,
            UsageJSONParser.media_type: UsageEventSerializer(many=True),
        },
        responses={200: UsageResultsSerializer} | refusals(400, 401, 403, 413),
    )
    def post(self, request: Request) -> Response:
        """Report usage: a list of at most 10,000 events in 10 MiB, or one event.

        Every event is answered by itself, in order; one that is wrong does not hold up the others. Events are told
        apart by (`source`, `id`), so the same list may be sent again at any time: no Idempotency-Key is needed.
        """
        body: object = request.data
        events = [body] if isinstance(body, dict) else body
        if not isinstance(events, list) or not events:
            raise InvalidRequest(f"Send one event, or a list of 1 to {MAX_BATCH} events.", errors=[])
        results = ingest(events, party_id=caller_of(request).party_id, now=get_clock().now())
        return Response(UsageResultsSerializer({"items": results}).data)


class StatementsView(PartyView, PageView[Statement]):
    """Signed statements."""

    scopes: ClassVar = {"GET": READING}
    serializer_class = StatementSerializer
    filterset_class = StatementFilter

    def get_queryset(self) -> QuerySet[Statement]:
        return list_statements(caller_of(self.request).readable_parties)

    @extend_schema(tags=["statements"], operation_id="list_statements", responses=refusals(400, 401, 403))
    def get(self, request: Request) -> Response:
        """The party's statements, newest first; every party's for an auditor's key."""
        return self.list(request)


class StatementView(PartyView):
    """One statement."""

    scopes: ClassVar = {"GET": READING}

    @extend_schema(
        tags=["statements"],
        operation_id="get_statement",
        parameters=[STATEMENT_ID],
        responses={200: StatementDetailSerializer} | refusals(401, 403, 404),
    )
    def get(self, request: Request, id: int) -> Response:
        """A statement with its content, line by line."""
        return Response(StatementDetailSerializer(get_statement(id, caller_of(request).readable_parties)).data)


class StatementFileView(PartyView):
    """One statement's file."""

    scopes: ClassVar = {"GET": READING}
    renderer_classes = (StatementFileRenderer,)
    content_negotiation_class = OnlyForm

    @extend_schema(
        tags=["statements"],
        operation_id="download_statement",
        parameters=[STATEMENT_ID],
        responses={(200, FILE_TYPE): OpenApiResponse(OpenApiTypes.OBJECT, "JWS in General JSON form, as signed.")}
        | refusals(401, 403, 404),
    )
    def get(self, request: Request, id: int) -> Response:
        """The signed file, to be verified offline with the keys at `/.well-known/jwks.json`."""
        statement = get_statement(id, caller_of(request).readable_parties)
        name = f"{statement.party.code}-{statement.currency.code}-{statement.sequence:06d}.jws.json"
        return Response(statement.jws.encode(), headers={"Content-Disposition": f'attachment; filename="{name}"'})
