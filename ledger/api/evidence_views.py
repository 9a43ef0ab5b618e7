"""Evidence over REST: proofs for those whose postings they are, heads of the log for everyone, audits for auditors."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ledger.api.authentication import caller_of
from ledger.api.base import PageView, PartyView, PublicView, refuse_unknown_parameters
from ledger.api.evidence_serializers import (
    AuditRunDetailSerializer,
    AuditRunSerializer,
    CheckpointSerializer,
    SealSerializer,
)
from ledger.api.schema import refusals
from ledger.errors import NotFound
from ledger.log.proofs import prove_consistency, prove_sealed_balance, prove_transaction
from ledger.models import AuditRun, Checkpoint, PeriodSeal
from ledger.money import MAX_AMOUNT, parse_count
from ledger.parties.keys import Scope
from ledger.selectors.accounts import get_account

READING = (Scope.READ, Scope.TRADE, Scope.AUDIT)
CHECKPOINT = OpenApiParameter(
    "checkpoint", OpenApiTypes.INT64, description="Size of the checkpoint to prove it under; the newest unless told."
)
PROOF = "A JSON document that is checked offline with `ledger/verify.py` and the keys at `/.well-known/jwks.json`."


class TransactionProofView(PartyView):
    """The proof of a transaction."""

    scopes: ClassVar = {"GET": READING}

    @extend_schema(
        tags=["evidence"],
        operation_id="prove_transaction",
        description="The proof that a transaction, with the party's own legs and holds, is under a signed checkpoint. "
        f"Of the other parties' it shows hashes alone. {PROOF}\n\n503 `not_in_checkpoint_yet`: within seconds it is.",
        parameters=[OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH), CHECKPOINT],
        responses={200: OpenApiTypes.OBJECT} | refusals(400, 401, 403, 404, 409, 503),
    )
    def get(self, request: Request, id: int) -> Response:
        refuse_unknown_parameters(request, ("checkpoint",))
        caller = caller_of(request)
        party_id = None if caller.reads_everything else caller.party_id
        return Response(prove_transaction(id, party_id=party_id, checkpoint_size=_size(request, "checkpoint")))


class SealedBalanceProofView(PartyView):
    """The proof of a sealed balance."""

    scopes: ClassVar = {"GET": READING}

    @extend_schema(
        tags=["evidence"],
        operation_id="prove_sealed_balance",
        description="The proof of what an account of the party stood at when a period ended, and of its last entry by "
        f"then, under a signed checkpoint. {PROOF}",
        parameters=[
            OpenApiParameter("period", str, OpenApiParameter.PATH),
            OpenApiParameter("account", OpenApiTypes.INT64, required=True, description="Id of the account."),
            CHECKPOINT,
        ],
        responses={200: OpenApiTypes.OBJECT} | refusals(400, 401, 403, 404, 409, 503),
    )
    def get(self, request: Request, period: str) -> Response:
        refuse_unknown_parameters(request, ("account", "checkpoint"))
        account_id = _number(request, "account", minimum=1)
        account = get_account(account_id, caller_of(request).readable_parties)
        return Response(prove_sealed_balance(period, account.pk, checkpoint_size=_size(request, "checkpoint")))


class SealsView(PartyView, PageView[PeriodSeal]):
    """Seals of periods."""

    scopes: ClassVar = {"GET": READING}
    serializer_class = SealSerializer

    def get_queryset(self) -> QuerySet[PeriodSeal]:
        return PeriodSeal.objects.all()

    @extend_schema(tags=["evidence"], operation_id="list_seals", responses=refusals(400, 401, 403))
    def get(self, request: Request) -> Response:
        """The seals of closed days and months, newest first."""
        return self.list(request)


class ConsistencyView(PublicView):
    """The proof that the log only grew."""

    @extend_schema(
        tags=["evidence"],
        operation_id="prove_consistency",
        description=f"The proof that the log under one checkpoint is the beginning of that under another. {PROOF}",
        parameters=[
            OpenApiParameter("first", OpenApiTypes.INT64, required=True, description="Size of the earlier checkpoint."),
            OpenApiParameter("second", OpenApiTypes.INT64, required=True, description="Size of the later one."),
        ],
        responses={200: OpenApiTypes.OBJECT} | refusals(400, 404),
        auth=[],
    )
    def get(self, request: Request) -> Response:
        refuse_unknown_parameters(request, ("first", "second"))
        first, second = (_number(request, name, minimum=1) for name in ("first", "second"))
        return Response(prove_consistency(first, second))


class CheckpointsView(PublicView, PageView[Checkpoint]):
    """Signed heads of the log."""

    serializer_class = CheckpointSerializer
    page_order: ClassVar = ("-size",)

    def get_queryset(self) -> QuerySet[Checkpoint]:
        return Checkpoint.objects.all()

    @extend_schema(tags=["evidence"], operation_id="list_checkpoints", responses=refusals(400), auth=[])
    def get(self, request: Request) -> Response:
        """Every checkpoint that was published, newest first."""
        return self.list(request)


class AuditRunsView(PartyView, PageView[AuditRun]):
    """Audits."""

    scopes: ClassVar = {"GET": (Scope.AUDIT,)}
    serializer_class = AuditRunSerializer

    def get_queryset(self) -> QuerySet[AuditRun]:
        return AuditRun.objects.defer("report")

    @extend_schema(tags=["evidence"], operation_id="list_audit_runs", responses=refusals(400, 401, 403))
    def get(self, request: Request) -> Response:
        """Every pass of the audit over the journal, newest first. For auditors."""
        return self.list(request)


class AuditRunView(PartyView):
    """One audit."""

    scopes: ClassVar = {"GET": (Scope.AUDIT,)}

    @extend_schema(
        tags=["evidence"],
        operation_id="get_audit_run",
        parameters=[OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH)],
        responses={200: AuditRunDetailSerializer} | refusals(400, 401, 403, 404),
    )
    def get(self, request: Request, id: int) -> Response:
        """What each check of an audit found. For auditors."""
        refuse_unknown_parameters(request, ())
        run = AuditRun.objects.filter(id=id).first()
        if run is None:
            raise NotFound(f"There is no audit run {id}.", audit_run=str(id))
        return Response(AuditRunDetailSerializer(run).data)


def _number(request: Request, name: str, *, minimum: int) -> int:
    return parse_count(request.query_params.get(name), field=name, minimum=minimum, maximum=MAX_AMOUNT)


def _size(request: Request, name: str) -> int | None:
    return _number(request, name, minimum=1) if name in request.query_params else None
