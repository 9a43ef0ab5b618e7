"""Auditors' opinions of statements."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from ledger.api.authentication import caller_of
from ledger.api.base import PartyView, refuse_unknown_parameters
from ledger.api.fields import DigestField, StrictSerializer, TextField
from ledger.api.idempotency import IDEMPOTENCY_KEY, answer_once
from ledger.api.schema import refusals
from ledger.clock import get_clock
from ledger.parties.keys import Scope
from settlement.commands.add_opinion import MAX_LENGTH, add_opinion
from settlement.models import Opinion, StatementOpinion
from settlement.selectors.statements import get_statement, list_opinions

STATEMENT_ID = OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH)


class OpinionSerializer(serializers.Serializer[StatementOpinion]):
    """An auditor's signature over a statement's payload, with an opinion in its protected header."""

    id = serializers.CharField()
    statement = serializers.CharField(source="statement_id")
    auditor = serializers.CharField(source="key.auditor")
    kid = serializers.CharField(source="key_id")
    opinion = serializers.ChoiceField(choices=Opinion.choices)
    findings_digest = DigestField(allow_null=True)
    protected = serializers.CharField(help_text="Protected header, base64url, as it was signed.")
    signature = serializers.CharField(help_text="Base64url.")
    given_at = serializers.DateTimeField()


class OpinionListSerializer(serializers.Serializer[Any]):
    """In the order in which they were given, which is that of the signatures in the file."""

    items = OpinionSerializer(many=True)


class NewOpinionSerializer(StrictSerializer):
    """A further signature of the statement's JWS. Its signing input is `protected`.`payload` of the file."""

    protected = TextField(
        max_length=MAX_LENGTH,
        help_text="Base64url of the canonical JSON of alg Ed25519, typ tokenbourse-statement+jws, kid, iat, opinion "
        "(agreed, agreed_with_findings or refused), and findings_digest (SHA-256, hex) if there are findings.",
    )
    signature = TextField(max_length=MAX_LENGTH, help_text="Ed25519 over the signing input, base64url.")


class StatementOpinionsView(PartyView):
    """The opinions of a statement."""

    scopes: ClassVar = {"GET": (Scope.READ, Scope.AUDIT), "POST": (Scope.AUDIT,)}

    @extend_schema(
        tags=["statements"],
        operation_id="list_statement_opinions",
        parameters=[STATEMENT_ID],
        responses={200: OpinionListSerializer} | refusals(400, 401, 403, 404),
    )
    def get(self, request: Request, id: int) -> Response:
        """What auditors signed about a statement; its signed file has these signatures too."""
        refuse_unknown_parameters(request, ())
        statement = get_statement(id, caller_of(request).readable_parties)
        return Response(OpinionListSerializer({"items": list_opinions(statement)}).data)

    @extend_schema(
        tags=["statements"],
        operation_id="give_statement_opinion",
        parameters=[STATEMENT_ID, IDEMPOTENCY_KEY],
        request=NewOpinionSerializer,
        responses={201: OpinionSerializer, 200: OpinionSerializer} | refusals(400, 401, 403, 404, 409),
    )
    def post(self, request: Request, id: int) -> Response:
        """Give an opinion of a statement, signed with a registered auditor's key; it stays for ever."""
        refuse_unknown_parameters(request, ())
        body = NewOpinionSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        caller, now, given = caller_of(request), get_clock().now(), body.validated_data

        def act() -> dict[str, Any]:
            opinion = add_opinion(id, given["protected"], given["signature"], actor=caller.actor, now=now)
            return dict(OpinionSerializer(opinion).data)

        content = {"statement": str(id), **given}
        answer = answer_once(request, "give_statement_opinion", content, act, now=now)
        return Response(answer.content, status=answer.status)
