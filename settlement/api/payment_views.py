"""Nettings, payments, payout accounts and invoice rows: each party its own, everybody's for an auditor's key."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ledger.api.authentication import caller_of
from ledger.api.base import PageView, PartyView, refuse_unknown_parameters
from ledger.api.files import FileRenderer, OnlyForm
from ledger.api.schema import refusals
from ledger.money import MAX_AMOUNT, parse_count
from ledger.parties.keys import Scope
from settlement.api.payment_filters import InstructionFilter, InvoiceRowFilter, NettedPartyFilter
from settlement.api.payment_serializers import (
    InstructionSerializer,
    InvoiceRowSerializer,
    NettedPartySerializer,
    PayoutAccountSerializer,
)
from settlement.models import InvoiceRow, NettedParty, PaymentInstruction, PayoutAccount
from settlement.payments.invoicing import write_invoice_csv
from settlement.selectors.netting import list_netted_parties
from settlement.selectors.payments import (
    get_instruction,
    list_instructions,
    list_invoice_rows,
    list_payout_accounts,
)

READING = (Scope.READ, Scope.AUDIT)


class CsvRenderer(FileRenderer):
    """A CSV file."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"


class NettedPartiesView(PartyView, PageView[NettedParty]):
    """Netted figures."""

    scopes: ClassVar = {"GET": READING}
    serializer_class = NettedPartySerializer
    filterset_class = NettedPartyFilter

    def get_queryset(self) -> QuerySet[NettedParty]:
        return list_netted_parties(caller_of(self.request).readable_parties)

    @extend_schema(tags=["payments"], operation_id="list_nettings", responses=refusals(400, 401, 403))
    def get(self, request: Request) -> Response:
        """What the party's lines of a currency and value date come to, newest first."""
        return self.list(request)


class InstructionsView(PartyView, PageView[PaymentInstruction]):
    """Payments."""

    scopes: ClassVar = {"GET": READING}
    serializer_class = InstructionSerializer
    filterset_class = InstructionFilter

    def get_queryset(self) -> QuerySet[PaymentInstruction]:
        return list_instructions(caller_of(self.request).readable_parties)

    @extend_schema(tags=["payments"], operation_id="list_payments", responses=refusals(400, 401, 403))
    def get(self, request: Request) -> Response:
        """Payments to the party out of the market, newest first."""
        return self.list(request)


class InstructionView(PartyView):
    """One payment."""

    scopes: ClassVar = {"GET": READING}

    @extend_schema(
        tags=["payments"],
        operation_id="get_payment",
        parameters=[OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH)],
        responses={200: InstructionSerializer} | refusals(400, 401, 403, 404),
    )
    def get(self, request: Request, id: int) -> Response:
        """A payment with its state, and the transactions that held, paid and took it back."""
        refuse_unknown_parameters(request, ())
        return Response(InstructionSerializer(get_instruction(id, caller_of(request).readable_parties)).data)


class PayoutAccountsView(PartyView, PageView[PayoutAccount]):
    """Payout accounts."""

    scopes: ClassVar = {"GET": READING}
    serializer_class = PayoutAccountSerializer

    def get_queryset(self) -> QuerySet[PayoutAccount]:
        return list_payout_accounts(caller_of(self.request).readable_parties)

    @extend_schema(tags=["payments"], operation_id="list_payout_accounts", responses=refusals(400, 401, 403))
    def get(self, request: Request) -> Response:
        """Where the party is paid, all versions, newest first. Operators enter and confirm them in twos."""
        return self.list(request)


class InvoiceRowsView(PartyView, PageView[InvoiceRow]):
    """Invoice rows."""

    scopes: ClassVar = {"GET": READING}
    serializer_class = InvoiceRowSerializer
    filterset_class = InvoiceRowFilter

    def get_queryset(self) -> QuerySet[InvoiceRow]:
        return list_invoice_rows(caller_of(self.request).readable_parties)

    @extend_schema(tags=["payments"], operation_id="list_invoice_rows", responses=refusals(400, 401, 403))
    def get(self, request: Request) -> Response:
        """Rows for invoices that the party writes or receives, newest first. They are no invoices themselves."""
        return self.list(request)


class InvoiceFileView(PartyView):
    """The invoice rows of a run as a file."""

    scopes: ClassVar = {"GET": READING}
    renderer_classes = (CsvRenderer,)
    content_negotiation_class = OnlyForm

    @extend_schema(
        tags=["payments"],
        operation_id="download_invoice_rows",
        parameters=[OpenApiParameter("run", OpenApiTypes.INT64, required=True, description="Number of the run.")],
        responses={(200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, "RFC 4180, a row under a header each.")}
        | refusals(400, 401, 403),
    )
    def get(self, request: Request) -> Response:
        """The party's rows of one settlement run as CSV."""
        refuse_unknown_parameters(request, ("run",))
        run = parse_count(request.query_params.get("run"), field="run", minimum=1, maximum=MAX_AMOUNT)
        rows = list_invoice_rows(caller_of(request).readable_parties).filter(run_id=run).order_by("id")
        headers = {"Content-Disposition": f'attachment; filename="invoice-rows-{run}.csv"'}
        return Response(write_invoice_csv(rows), headers=headers)
