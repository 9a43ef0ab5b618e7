"""Products and contracts in the admin; listing and halting are an operator's. And a provider's obligations."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from exchange.admin.decisions import request_url
from exchange.admin.listing_forms import HaltForm, ListContractsForm, ResumeForm
from exchange.admin.terms_forms import ChangeTermsForm, ListProductForm
from exchange.models import UNDELIVERED_STATES, Contract, ContractState, DecisionKind, Product, ProductTerms
from exchange.rows import product_terms
from exchange.selectors.exposure import list_exposures
from exchange.wording import price_writer
from ledger.admin.base import RecordInline, action, column, number_or_404, state_label
from ledger.admin.command_forms import AddsByCommand, CommandForm, command_page
from ledger.parties.access import Access
from ledger.templatetags.amounts import money, utc, whole_hex
from ledger.web import access_of

UNSETTLED = tuple(set(ContractState) - {ContractState.SETTLED, ContractState.CANCELLED})
SETTLED_SHOWN = 50  # contracts


class _PublicTable(AddsByCommand):
    """Everyone who may log in sees all of it; an operator adds to it."""

    def own_rows(self, access: Access) -> Q | None:
        return Q() if access.party_ids else None

    def may_add(self, access: Access) -> bool:
        return access.is_operator


class TermsInline(RecordInline):
    model = ProductTerms
    fields = ("version", "hash_shown", "created_at", "created_by")
    readonly_fields = ("hash_shown",)

    @column("Hash of the terms")
    def hash_shown(self, version: ProductTerms) -> str:
        return whole_hex(version.terms_hash)


@admin.register(Product)
class ProductAdmin(_PublicTable):
    list_display = ("code", "description", "currency", "listed_at")
    list_select_related = ("currency",)
    search_fields = ("code", "description")
    ordering = ("code",)
    fields = ("code", "description", "currency", "listed_at", "in_words")
    readonly_fields = ("in_words",)
    inlines = (TermsInline,)
    add_form = ListProductForm
    actions_detail = ("change_terms",)

    def has_terms_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return access_of(request).is_operator

    @action(description="Change the terms", url_path="terms", icon="edit_document", permissions=["terms"])
    def change_terms(self, request: HttpRequest, object_id: str) -> HttpResponse:
        product = get_object_or_404(Product, pk=number_or_404(object_id))
        return command_page(self, request, ChangeTermsForm, subject=product, product=product)

    @column("Terms")
    def in_words(self, product: Product) -> SafeString:
        return format_html(
            '<a class="text-link" href="{}">in words, with its contracts</a>', reverse("product", args=(product.code,))
        )


@admin.register(Contract)
class ContractAdmin(_PublicTable):
    list_display = ("symbol", "state_shown", "starts", "gate", "bond", "reference")
    list_filter = ("state", "product")
    search_fields = ("symbol",)
    ordering = ("-delivery_start", "symbol")
    fields = (
        "symbol", "product", "state_shown", "state_reason", "cancelled_at", "delivery_start", "delivery_end",
        "gate_open", "gate_close", "listing_price", "band", "collar_permille", "bond", "reference", "reference_step",
        "terms_shown", "obligations_shown", "shard", "listed_at",
    )  # fmt: skip
    readonly_fields = ("state_shown", "listing_price", "band", "bond", "reference", "terms_shown", "obligations_shown")
    add_form = ListContractsForm
    actions_detail = ("halt", "resume", "cancel")

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(self.obligations_view)
        return [path("obligations/", page, name="exchange_obligations"), *super().get_urls()]

    def obligations_view(self, request: HttpRequest) -> HttpResponse:
        """What providers have sold, may still sell and have pledged, contract by contract."""
        access = access_of(request)
        if not (access.reads_everything or access.provider_ids):
            raise PermissionDenied
        own = None if access.reads_everything else access.provider_ids
        context = {
            **self.admin_site.each_context(request),
            "title": "Obligations",
            "open": list_exposures(UNSETTLED, provider_ids=own),
            "settled": list_exposures([ContractState.SETTLED], provider_ids=own, latest=SETTLED_SHOWN)[::-1],
            "names_provider": access.reads_everything or len(access.provider_ids) > 1,
        }
        return TemplateResponse(request, "admin/exchange/obligations.html", context)

    def has_halt_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return self._is(request, object_id, ContractState.TRADING)

    def has_cancel_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return self._is(request, object_id, *UNDELIVERED_STATES)

    def has_resume_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return self._is(request, object_id, ContractState.HALTED)

    @action(description="Halt trading", url_path="halt", icon="pan_tool", permissions=["halt"])
    def halt(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, HaltForm)

    @action(description="Resume trading", url_path="resume", icon="play_arrow", permissions=["resume"])
    def resume(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, ResumeForm)

    @action(description="Request cancellation", url_path="cancel", icon="block", permissions=["cancel"])
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        contract = get_object_or_404(Contract, pk=number_or_404(object_id))
        return HttpResponseRedirect(request_url(DecisionKind.CANCEL_CONTRACT, contract.symbol))

    def _act_on(self, request: HttpRequest, object_id: str, form: type[CommandForm]) -> HttpResponse:
        contract = get_object_or_404(Contract, pk=number_or_404(object_id))
        return command_page(self, request, form, subject=contract, contract=contract)

    def _is(self, request: HttpRequest, object_id: object, *states: ContractState) -> bool:
        return (
            access_of(request).is_operator
            and Contract.objects.filter(pk=number_or_404(str(object_id)), state__in=states).exists()
        )

    @column("State", ordering="state")
    def state_shown(self, contract: Contract) -> SafeString:
        return state_label(contract.state)

    @column("Delivery starts", ordering="delivery_start")
    def starts(self, contract: Contract) -> str:
        return str(utc(contract.delivery_start))

    @column("Gate closes", ordering="gate_close")
    def gate(self, contract: Contract) -> str:
        return str(utc(contract.gate_close))

    @column("Listing price")
    def listing_price(self, contract: Contract) -> str:
        return _writer(contract)(contract.listing_price_ticks)

    @column("Price band")
    def band(self, contract: Contract) -> str:
        write = _writer(contract)
        return f"{write(contract.band_low_ticks)} to {write(contract.band_high_ticks)}"

    @column("Bond a lot", ordering="bond_per_lot")
    def bond(self, contract: Contract) -> str:
        return str(money(contract.bond_per_lot))

    @column("Reference price", ordering="reference_price_micros")
    def reference(self, contract: Contract) -> str:
        return str(money(contract.reference_price_micros)) or "fixed at the gate"

    @column("Hash of the terms")
    def terms_shown(self, contract: Contract) -> str:
        return whole_hex(contract.terms.terms_hash)

    @column("Hash of the obligations")
    def obligations_shown(self, contract: Contract) -> str:
        return whole_hex(contract.obligations_hash) or "fixed at the gate"


def _writer(contract: Contract) -> Callable[[int], str]:
    """How the contract's prices are written."""
    return price_writer(product_terms(contract).tick_micros)
