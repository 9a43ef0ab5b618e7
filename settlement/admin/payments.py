"""Nettings, payments, payout accounts, banks' files and invoice rows in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.safestring import SafeString

from ledger.admin.base import InfinitePaginator, RecordAdmin, action, column, number_or_404, owned_by, state_label
from ledger.admin.command_forms import AddsByCommand, CommandForm, command_page
from ledger.chart import Role
from ledger.models import Account, ActionLog
from ledger.parties.access import Access
from ledger.templatetags.amounts import money, percent
from ledger.web import access_of
from settlement.admin.payment_forms import (
    CancelPaymentForm,
    ConfirmAccountForm,
    CreatePaymentsForm,
    DecideWaterfallForm,
    ExportPaymentsForm,
    FundWaterfallForm,
    ImportConfirmationForm,
    MakeNettingForm,
    RefuseAccountForm,
    RequestAccountForm,
    WalkWaterfallForm,
)
from settlement.minor_units import format_minor
from settlement.models import (
    ConfirmationImport,
    InstructionState,
    InvoiceRow,
    NettingSet,
    PaymentFile,
    PaymentInstruction,
    PayoutAccount,
    RequestState,
)
from settlement.netting import ratio_ppm
from settlement.payments.default import WALK_WATERFALL
from settlement.payments.pots import FUND_WATERFALL
from settlement.payments.requests import ASK, open_requests


@admin.register(NettingSet)
class NettingSetAdmin(AddsByCommand):
    """Sets, each with a page of its own; and the default waterfall, which is paid out of them."""

    list_display = ("id", "currency", "value_date", "sequence", "gross", "net", "saved", "created_at", "created_by")
    list_filter = ("currency",)
    list_select_related = ("currency",)
    ordering = ("-id",)
    fields = ("currency", "value_date", "sequence", "gross", "net", "saved", "created_at", "created_by")
    readonly_fields = ("gross", "net", "saved")
    add_form = MakeNettingForm
    actions_detail = ("show_page", "pay", "export")

    def may_add(self, access: Access) -> bool:
        return access.is_operator

    def get_urls(self) -> list[Any]:
        own = [
            path("waterfall/", self.waterfall, name="settlement_nettingset_waterfall"),
            path("waterfall/fund/", self.waterfall_fund, name="settlement_nettingset_waterfall_fund"),
            path("waterfall/walk/", self.waterfall_walk, name="settlement_nettingset_waterfall_walk"),
            path("waterfall/<int:number>/", self.waterfall_decide, name="settlement_nettingset_waterfall_decide"),
        ]
        return [*own, *super().get_urls()]

    def has_operate_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return access_of(request).is_operator

    @action(description="Parties and payments", url_path="page", icon="table_rows")
    def show_page(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(reverse("netting", args=(number_or_404(object_id),)))

    @action(description="Make the payments", url_path="pay", icon="payments", permissions=["operate"])
    def pay(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, CreatePaymentsForm)

    @action(description="Export for the bank", url_path="export", icon="upload_file", permissions=["operate"])
    def export(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, ExportPaymentsForm)

    def waterfall(self, request: HttpRequest) -> HttpResponse:
        """What the waterfall holds, and what waits for a second operator."""
        if not access_of(request).reads_everything:
            raise PermissionDenied
        pots = Account.objects.filter(role=Role.DEFAULT_FUND).select_related("asset").order_by("asset", "qualifier")
        debts = Account.objects.filter(role=Role.DEBT, balance__lt=0).select_related("asset", "party")
        context = {
            **self.admin_site.each_context(request),
            "title": "Default waterfall",
            "pots": pots,
            "debts": debts.order_by("party__code"),
            "waiting": open_requests(FUND_WATERFALL, WALK_WATERFALL),
            "access": access_of(request),
        }
        return TemplateResponse(request, "admin/settlement/payment_waterfall.html", context)

    def waterfall_fund(self, request: HttpRequest) -> HttpResponse:
        return self._operate(request, FundWaterfallForm)

    def waterfall_walk(self, request: HttpRequest) -> HttpResponse:
        return self._operate(request, WalkWaterfallForm)

    def waterfall_decide(self, request: HttpRequest, number: int) -> HttpResponse:
        asked = get_object_or_404(ActionLog, pk=number, action__in=[f"{ASK}{FUND_WATERFALL}", f"{ASK}{WALK_WATERFALL}"])
        template = "admin/settlement/payment_decide.html"
        return self._operate(request, DecideWaterfallForm, template=template, asked=asked)

    def _operate(self, request: HttpRequest, form: type[CommandForm], **options: Any) -> HttpResponse:
        if not access_of(request).is_operator:
            raise PermissionDenied
        return command_page(self, request, form, **options)

    def _act_on(self, request: HttpRequest, object_id: str, form: type[CommandForm]) -> HttpResponse:
        netting = get_object_or_404(NettingSet, pk=number_or_404(object_id))
        return command_page(self, request, form, subject=netting, netting=netting)

    @column("Gross", ordering="gross_micros")
    def gross(self, row: NettingSet) -> str:
        return str(money(row.gross_micros))

    @column("Net", ordering="net_micros")
    def net(self, row: NettingSet) -> str:
        return str(money(row.net_micros))

    @column("Saved")
    def saved(self, row: NettingSet) -> str:
        return percent(ratio_ppm(row.gross_micros, row.net_micros))


@admin.register(PaymentInstruction)
class PaymentInstructionAdmin(RecordAdmin):
    """Payments out of the market; a party's staff sees its own."""

    list_display = ("end_to_end_id", "party", "amount", "state_shown", "bank_reference", "return_reason", "changed_at")
    list_filter = ("state",)
    list_select_related = ("party", "netting__currency")
    party_columns = ("party",)
    search_fields = ("end_to_end_id", "party__code")
    ordering = ("-id",)
    paginator = InfinitePaginator
    fields = (
        "end_to_end_id", "netting", "party", "amount", "payout_account", "state_shown", "bank_reference",
        "return_reason", "created_at", "changed_at", "changed_by", "hold_transaction_id", "paid_transaction_id",
        "returned_transaction_id",
    )  # fmt: skip
    readonly_fields = ("amount", "state_shown")
    actions_detail = ("cancel",)

    def own_rows(self, access: Access) -> Q | None:
        return owned_by("party_id", access.party_ids)

    def has_cancel_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        waiting = PaymentInstruction.objects.filter(pk=number_or_404(str(object_id)), state=InstructionState.CREATED)
        return access_of(request).is_operator and waiting.exists()

    @action(description="Cancel", url_path="cancel", icon="cancel", permissions=["cancel"])
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        instruction = get_object_or_404(PaymentInstruction, pk=number_or_404(object_id))
        return command_page(self, request, CancelPaymentForm, subject=instruction, instruction=instruction)

    @column("Amount", ordering="micros")
    def amount(self, row: PaymentInstruction) -> str:
        return f"{money(row.micros)} {row.netting.currency.code}"

    @column("State", ordering="state")
    def state_shown(self, row: PaymentInstruction) -> SafeString:
        return state_label(row.state)


@admin.register(PayoutAccount)
class PayoutAccountAdmin(AddsByCommand):
    """Where parties are paid: entered by one operator, confirmed by another."""

    list_display = ("id", "party", "currency", "iban", "holder", "state_shown", "requested_by", "decided_by")
    list_filter = ("state", "currency")
    list_select_related = ("party", "currency")
    party_columns = ("party",)
    search_fields = ("party__code", "iban")
    ordering = ("-id",)
    fields = (
        "party", "currency", "holder", "iban", "bic", "state_shown", "requested_by", "requested_at", "decided_by",
        "decided_at",
    )  # fmt: skip
    readonly_fields = ("state_shown",)
    add_form = RequestAccountForm
    actions_detail = ("confirm", "refuse")

    def own_rows(self, access: Access) -> Q | None:
        return owned_by("party_id", access.party_ids)

    def may_add(self, access: Access) -> bool:
        return access.is_operator

    def has_decide_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        access = access_of(request)
        waiting = PayoutAccount.objects.filter(pk=number_or_404(str(object_id)), state=RequestState.REQUESTED)
        return access.is_operator and waiting.exclude(requested_by=access.actor).exists()

    @action(description="Confirm", url_path="confirm", icon="check_circle", permissions=["decide"])
    def confirm(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, ConfirmAccountForm)

    @action(description="Refuse", url_path="refuse", icon="cancel", permissions=["decide"])
    def refuse(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, RefuseAccountForm)

    def _act_on(self, request: HttpRequest, object_id: str, form: type[CommandForm]) -> HttpResponse:
        account = get_object_or_404(PayoutAccount, pk=number_or_404(object_id))
        return command_page(self, request, form, subject=account, account=account)

    @column("State", ordering="state")
    def state_shown(self, row: PayoutAccount) -> SafeString:
        return state_label(row.state)


@admin.register(PaymentFile)
class PaymentFileAdmin(RecordAdmin):
    list_display = ("message_id", "netting", "form", "created_at", "created_by")
    list_select_related = ("netting__currency",)
    ordering = ("-id",)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The file itself."""
        return HttpResponseRedirect(reverse("payment-file", args=(number_or_404(object_id),)))


@admin.register(ConfirmationImport)
class ConfirmationImportAdmin(AddsByCommand):
    """What banks said; each file once."""

    list_display = ("id", "imported_at", "imported_by", "confirmed", "returned")
    ordering = ("-id",)
    add_form = ImportConfirmationForm

    def may_add(self, access: Access) -> bool:
        return access.is_operator

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("content")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Its own page tells item by item."""
        return HttpResponseRedirect(reverse("confirmation", args=(number_or_404(object_id),)))


@admin.register(InvoiceRow)
class InvoiceRowAdmin(RecordAdmin):
    """What suppliers invoice recipients; both see it."""

    list_display = ("number", "run", "supplier", "recipient", "tax_category", "net", "tax", "gross", "reverses")
    list_select_related = ("run__currency", "run__product", "supplier", "recipient", "reverses")
    ordering = ("-id",)
    paginator = InfinitePaginator
    fields = (
        "number",
        "run",
        "supplier",
        "recipient",
        "tax_category",
        "tax_rate_ppm",
        "net",
        "tax",
        "gross",
        "reverses",
    )
    readonly_fields = ("net", "tax", "gross")

    def own_rows(self, access: Access) -> Q | None:
        own = list(access.party_ids)
        return Q(supplier_id__in=own) | Q(recipient_id__in=own) if own else None

    @column("Net")
    def net(self, row: InvoiceRow) -> str:
        return format_minor(row.net_minor, row.run.currency.code)

    @column("Tax")
    def tax(self, row: InvoiceRow) -> str:
        return format_minor(row.tax_minor, row.run.currency.code)

    @column("Gross")
    def gross(self, row: InvoiceRow) -> str:
        return format_minor(row.gross_minor, row.run.currency.code)
