"""Sites, capacity declarations and qualifications in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.safestring import SafeString

from exchange.admin.capacity_form import DeclareCapacityForm
from exchange.admin.provider_forms import QualifyProviderForm, RegisterSiteForm, RevokeQualificationForm
from exchange.models import CapacityAllocation, CapacityDeclaration, Qualification, Site
from exchange.wording import describe_length
from ledger.admin.base import RecordInline, action, column, number_or_404, owned_by, state_label
from ledger.admin.command_forms import AddsByCommand, command_page
from ledger.clock import get_clock
from ledger.parties.access import Access
from ledger.templatetags.amounts import count, percent
from ledger.web import access_of


class _ProvidersOwn(AddsByCommand):
    """Rows of a provider, which its own staff adds."""

    def own_rows(self, access: Access) -> Q | None:
        return owned_by("provider_id", access.provider_ids)

    def may_add(self, access: Access) -> bool:
        return bool(access.provider_ids)


@admin.register(Site)
class SiteAdmin(_ProvidersOwn):
    list_display = ("name", "provider", "region", "sustains")
    party_columns = ("provider",)
    list_select_related = ("provider",)
    search_fields = ("name", "provider__code")
    add_form = RegisterSiteForm

    @column("Contract tokens/s")
    def sustains(self, site: Site) -> str:
        latest = site.declarations.order_by("-id").first()
        return "not declared" if latest is None else count(latest.tokens_per_s)


class AllocationInline(RecordInline):
    model = CapacityAllocation
    fields = ("product", "length", "share")
    readonly_fields = ("length", "share")

    @column("Windows of")
    def length(self, allocation: CapacityAllocation) -> str:
        return describe_length(allocation.window_seconds)

    @column("Part of the site")
    def share(self, allocation: CapacityAllocation) -> str:
        return percent(allocation.ppm)


@admin.register(CapacityDeclaration)
class CapacityDeclarationAdmin(_ProvidersOwn):
    """The latest of a site counts; none is ever edited."""

    list_display = ("site", "provider", "sustains", "declared_at", "declared_by", "in_force")
    party_columns = ("provider",)
    list_select_related = ("site__provider",)
    ordering = ("-id",)
    fields = ("site", "sustains", "basis", "declared_at", "declared_by")
    readonly_fields = ("sustains",)
    inlines = (AllocationInline,)
    add_form = DeclareCapacityForm
    add_template = "admin/exchange/declare_capacity.html"

    def own_rows(self, access: Access) -> Q | None:
        return owned_by("site__provider_id", access.provider_ids)

    @column("Provider", ordering="site__provider")
    def provider(self, declaration: CapacityDeclaration) -> str:
        return str(declaration.site.provider)

    @column("Contract tokens/s", ordering="tokens_per_s")
    def sustains(self, declaration: CapacityDeclaration) -> str:
        return count(declaration.tokens_per_s)

    @column("State")
    def in_force(self, declaration: CapacityDeclaration) -> SafeString:
        latest = CapacityDeclaration.objects.filter(site_id=declaration.site_id).latest()
        return state_label("current" if latest.pk == declaration.pk else "replaced")


@admin.register(Qualification)
class QualificationAdmin(AddsByCommand):
    """What a provider may sell, and what its buyers learn at the gate. Granted and revoked by an operator."""

    list_display = ("product", "provider", "state_shown", "valid_from", "valid_until", "endpoint_url")
    party_columns = ("provider",)
    list_select_related = ("provider", "product")
    ordering = ("-id",)
    readonly_fields = ("endpoint_url",)
    add_form = QualifyProviderForm
    actions_detail = ("revoke",)

    def own_rows(self, access: Access) -> Q | None:
        return owned_by("provider_id", access.provider_ids)

    def may_add(self, access: Access) -> bool:
        return access.is_operator

    @column("State")
    def state_shown(self, qualification: Qualification) -> SafeString:
        now = get_clock().now()
        if qualification.revoked_at is not None:
            return state_label("revoked")
        if now < qualification.valid_from:
            return state_label("due")
        return state_label("current" if now < qualification.valid_until else "expired")

    def has_revoke_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return access_of(request).is_operator

    @action(description="Revoke", url_path="revoke", icon="block", permissions=["revoke"])
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        qualification = get_object_or_404(self.get_queryset(request), pk=number_or_404(object_id))
        options: dict[str, Any] = {"qualification": qualification}
        return command_page(self, request, RevokeQualificationForm, subject=qualification, **options)
