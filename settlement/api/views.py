"""Statements."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ledger.api.authentication import caller_of
from ledger.api.base import PageView, PartyView, refuse_unknown_parameters
from ledger.api.files import OnlyForm
from ledger.api.schema import refusals
from ledger.money import MAX_JSON_INTEGER, parse_count
from ledger.parties.keys import Scope
from settlement.api.filters import StatementFilter
from settlement.api.statement_file import FILE_TYPE, StatementFileRenderer, stream
from settlement.api.statement_serializers import (
    RecordProofSerializer,
    RecordsSerializer,
    StatementDetailSerializer,
    StatementSerializer,
)
from settlement.models import Statement
from settlement.selectors.statement_files import FILE_FORMS, SIGNED, open_file
from settlement.selectors.statement_records import prove_record, read_slice
from settlement.selectors.statements import get_statement, list_statements
from settlement.statements.content import open_statement, parse_records
from settlement.statements.proofs import statement_proof

READING = (Scope.READ, Scope.AUDIT)
MOST_RECORDS = 1_000  # in one answer
STATEMENT_ID = OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH)


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
    def get(self, request: Request, id: int) -> StreamingHttpResponse:
        """The signed file, to be verified offline with the keys at `/.well-known/jwks.json`."""
        return stream(open_file(get_statement(id, caller_of(request).readable_parties), SIGNED))


class StatementFormView(PartyView):
    """One statement in one of its forms."""

    scopes: ClassVar = {"GET": READING}
    renderer_classes = (StatementFileRenderer,)
    content_negotiation_class = OnlyForm

    @extend_schema(
        tags=["statements"],
        operation_id="download_statement_form",
        description="A statement as a file: "
        + "; ".join(f"`{form.code}`: {form.title}" for form in FILE_FORMS.values())
        + ". The signed file and its records are what was signed; the other forms are made from them, are not signed, "
        "and name the digest of the signed core.",
        parameters=[
            STATEMENT_ID,
            OpenApiParameter("form", OpenApiTypes.STR, OpenApiParameter.PATH, enum=list(FILE_FORMS)),
        ],
        responses={
            (200, form.media_type.partition(";")[0]): OpenApiResponse(OpenApiTypes.BINARY, form.title)
            for form in FILE_FORMS.values()
        }
        | refusals(401, 403, 404),
    )
    def get(self, request: Request, id: int, form: str) -> StreamingHttpResponse:
        return stream(open_file(get_statement(id, caller_of(request).readable_parties), form))


class StatementRecordsView(PartyView):
    """The records of a statement."""

    scopes: ClassVar = {"GET": READING}

    @extend_schema(
        tags=["statements"],
        operation_id="list_statement_records",
        parameters=[
            STATEMENT_ID,
            OpenApiParameter("from", OpenApiTypes.INT64, description="Number of the first record; 1 unless told."),
            OpenApiParameter("limit", OpenApiTypes.INT, description=f"1 to {MOST_RECORDS}; 100 unless told."),
        ],
        responses={200: RecordsSerializer} | refusals(400, 401, 403, 404),
    )
    def get(self, request: Request, id: int) -> Response:
        """Records of a statement in their order: its lines, what the meters said, and how income was shared out."""
        refuse_unknown_parameters(request, ("from", "limit"))
        first, limit = _number(request, "from", 1, MAX_JSON_INTEGER), _number(request, "limit", 100, MOST_RECORDS)
        statement = get_statement(id, caller_of(request).readable_parties)
        content = open_statement(statement.jws)
        stated = content.core["records"]
        items = list(parse_records(read_slice(statement, content, first, limit)))
        following = first + len(items)
        return Response(
            {
                "count": stated["count"],
                "root": stated["root"],
                "items": items,
                "next": following if items and following <= stated["count"] else None,
            }
        )


class StatementRecordView(PartyView):
    """One record of a statement."""

    scopes: ClassVar = {"GET": READING}

    @extend_schema(
        tags=["statements"],
        operation_id="get_statement_record",
        parameters=[STATEMENT_ID, OpenApiParameter("number", OpenApiTypes.INT64, OpenApiParameter.PATH)],
        responses={200: RecordProofSerializer} | refusals(400, 401, 403, 404),
    )
    def get(self, request: Request, id: int, number: int) -> Response:
        """A record with its inclusion path, to be shown to somebody without the others."""
        refuse_unknown_parameters(request, ())
        statement = get_statement(id, caller_of(request).readable_parties)
        return Response(RecordProofSerializer(prove_record(statement, open_statement(statement.jws), number)).data)


class StatementProofView(PartyView):
    """That a statement is in the ledger's log."""

    scopes: ClassVar = {"GET": READING}

    @extend_schema(
        tags=["statements"],
        operation_id="prove_statement",
        description="The proof, under the newest checkpoint, that the statement's digest is in the exchange's log: "
        "what `verify --proof` takes when the signing key was revoked since. 404 for an indicative statement.",
        parameters=[STATEMENT_ID],
        responses={200: OpenApiTypes.OBJECT} | refusals(400, 401, 403, 404, 503),
    )
    def get(self, request: Request, id: int) -> Response:
        refuse_unknown_parameters(request, ())
        return Response(statement_proof(get_statement(id, caller_of(request).readable_parties)))


def _number(request: Request, name: str, default: int, most: int) -> int:
    return parse_count(request.query_params.get(name, default), field=name, minimum=1, maximum=most)
