"""Disputes of statement lines, for both sides and the auditor, and what parties were told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ledger.api.authentication import caller_of
from ledger.api.base import PageView, PartyView, refuse_unknown_parameters
from ledger.api.files import FileRenderer, OnlyForm
from ledger.api.idempotency import IDEMPOTENCY_KEY, answer_once
from ledger.api.schema import refusals
from ledger.clock import get_clock
from ledger.money import format_micros
from ledger.parties.keys import Scope
from settlement.api.dispute_filters import DisputeFilter, NoticeFilter
from settlement.api.dispute_serializers import (
    AdditionSerializer,
    DisputeDetailSerializer,
    DisputeSerializer,
    NewDisputeSerializer,
    NoticeSerializer,
    WithdrawalSerializer,
)
from settlement.commands.add_to_dispute import add_to_dispute
from settlement.commands.open_dispute import open_dispute
from settlement.commands.withdraw_dispute import withdraw_dispute
from settlement.disputes.rules import MAX_FILE_BYTES, MAX_FILES
from settlement.models import Dispute, PartyNotice
from settlement.selectors.disputes import get_dispute, get_evidence, list_disputes, list_notices

READING = (Scope.READ, Scope.AUDIT)
SPEAKING = (Scope.METER, Scope.TRADE)
DISPUTE_ID = OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH)
EVIDENCE_ID = OpenApiParameter("evidence", OpenApiTypes.INT64, OpenApiParameter.PATH)
FILE_TYPE = "application/octet-stream"
BODY_BYTES_MAX = MAX_FILES * (4 * MAX_FILE_BYTES // 3 + 1_000) + 64 * 1024
TOLD = {201: DisputeDetailSerializer, 200: DisputeDetailSerializer}


class EvidenceRenderer(FileRenderer):
    """A party's file, as plain bytes whatever it says it is: nothing of it is ever run or shown by a browser."""

    media_type = FILE_TYPE
    format = "bin"
    charset = None
    render_style = "binary"


def _answer(request: Request, operation: str, content: Mapping[str, Any], act: Callable[[], int]) -> Response:
    """Act once under the caller's idempotency key; `act` returns the dispute's number."""

    def act_and_tell() -> dict[str, Any]:
        return dict(DisputeDetailSerializer(get_dispute(act(), [caller_of(request).party_id])).data)

    answer = answer_once(request, operation, content, act_and_tell, now=get_clock().now())
    return Response(answer.content, status=answer.status)


class DisputesView(PartyView, PageView[Dispute]):
    """Disputed lines."""

    scopes: ClassVar = {"GET": READING, "POST": SPEAKING}
    serializer_class = DisputeSerializer
    filterset_class = DisputeFilter
    body_bytes_max = BODY_BYTES_MAX

    def get_queryset(self) -> QuerySet[Dispute]:
        return list_disputes(caller_of(self.request).readable_parties)

    @extend_schema(tags=["disputes"], operation_id="list_disputes", responses=refusals(400, 401, 403))
    def get(self, request: Request) -> Response:
        """The disputes that the party opened or whose money it has, newest first; everybody's for an auditor's key."""
        return self.list(request)

    @extend_schema(
        tags=["disputes"],
        operation_id="open_dispute",
        parameters=[IDEMPOTENCY_KEY],
        request=NewDisputeSerializer,
        responses=TOLD | refusals(400, 401, 403, 404, 409, 413, 422),
    )
    def post(self, request: Request) -> Response:
        """Dispute a line of an own statement until the deadline that the statement names.

        What the other side has free of the amount lies in suspense until it is decided; the rest stays paid.
        """
        refuse_unknown_parameters(request, ())
        body = NewDisputeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        caller, asked, now = caller_of(request), body.validated_data, get_clock().now()

        def act() -> int:
            return open_dispute(
                asked["statement"],
                asked["line"],
                asked["amount"],
                asked["reason"],
                asked["text"],
                body.evidence,
                usage_records=body.named_records,
                party_id=caller.party_id,
                actor=caller.actor,
                now=now,
            ).pk

        content = {
            "statement": str(asked["statement"]),
            "line": str(asked["line"]),
            "amount": format_micros(asked["amount"]),
            "reason": asked["reason"],
        }
        return _answer(request, "open_dispute", content | body.repeated_by(), act)


class DisputeView(PartyView):
    """One dispute."""

    scopes: ClassVar = {"GET": READING}

    @extend_schema(
        tags=["disputes"],
        operation_id="get_dispute",
        parameters=[DISPUTE_ID],
        responses={200: DisputeDetailSerializer} | refusals(400, 401, 403, 404),
    )
    def get(self, request: Request, id: int) -> Response:
        """A dispute with all that happened in it."""
        refuse_unknown_parameters(request, ())
        return Response(DisputeDetailSerializer(get_dispute(id, caller_of(request).readable_parties)).data)


class DisputeEntriesView(PartyView):
    """What the two sides have to say in a dispute."""

    scopes: ClassVar = {"POST": SPEAKING}
    body_bytes_max = BODY_BYTES_MAX

    @extend_schema(
        tags=["disputes"],
        operation_id="add_to_dispute",
        parameters=[DISPUTE_ID, IDEMPOTENCY_KEY],
        request=AdditionSerializer,
        responses=TOLD | refusals(400, 401, 403, 404, 409, 413, 422),
    )
    def post(self, request: Request, id: int) -> Response:
        """Say more in a dispute that is not decided, or put evidence beside it; either side may."""
        refuse_unknown_parameters(request, ())
        body = AdditionSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        caller, now = caller_of(request), get_clock().now()

        def act() -> int:
            said = body.validated_data["text"]
            add_to_dispute(
                id,
                said,
                body.evidence,
                usage_records=body.named_records,
                party_id=caller.party_id,
                actor=caller.actor,
                now=now,
            )
            return id

        return _answer(request, "add_to_dispute", {"dispute": str(id)} | body.repeated_by(), act)


class DisputeWithdrawalView(PartyView):
    """Letting a disputed line stand."""

    scopes: ClassVar = {"POST": SPEAKING}

    @extend_schema(
        tags=["disputes"],
        operation_id="withdraw_dispute",
        parameters=[DISPUTE_ID, IDEMPOTENCY_KEY],
        request=WithdrawalSerializer,
        responses=TOLD | refusals(400, 401, 403, 404, 409, 422),
    )
    def post(self, request: Request, id: int) -> Response:
        """Withdraw an own dispute that is not decided; what was in suspense goes back."""
        refuse_unknown_parameters(request, ())
        body = WithdrawalSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        caller, now, said = caller_of(request), get_clock().now(), body.validated_data["text"]

        def act() -> int:
            return withdraw_dispute(id, said, party_id=caller.party_id, actor=caller.actor, now=now).pk

        return _answer(request, "withdraw_dispute", {"dispute": str(id), "text": said}, act)


class DisputeEvidenceView(PartyView):
    """One file of evidence."""

    scopes: ClassVar = {"GET": READING}
    renderer_classes = (EvidenceRenderer,)
    content_negotiation_class = OnlyForm

    @extend_schema(
        tags=["disputes"],
        operation_id="download_dispute_evidence",
        parameters=[DISPUTE_ID, EVIDENCE_ID],
        responses={(200, FILE_TYPE): OpenApiResponse(OpenApiTypes.BINARY, "The file, byte for byte as it came.")}
        | refusals(400, 401, 403, 404),
    )
    def get(self, request: Request, id: int, evidence: int) -> Response:
        """A file of evidence; what it is called and says it is, the dispute tells."""
        refuse_unknown_parameters(request, ())
        found = get_evidence(id, evidence, caller_of(request).readable_parties)
        name = f"dispute-{id}-evidence-{found.pk}"
        return Response(bytes(found.content), headers={"Content-Disposition": f'attachment; filename="{name}"'})


class NoticesView(PartyView, PageView[PartyNotice]):
    """What parties were told."""

    scopes: ClassVar = {"GET": READING}
    serializer_class = NoticeSerializer
    filterset_class = NoticeFilter

    def get_queryset(self) -> QuerySet[PartyNotice]:
        return list_notices(caller_of(self.request).readable_parties)

    @extend_schema(tags=["disputes"], operation_id="list_notices", responses=refusals(400, 401, 403))
    def get(self, request: Request) -> Response:
        """What the party was told: of disputes, runs and payments that concern it, newest first; all for an auditor."""
        return self.list(request)
