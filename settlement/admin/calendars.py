"""Settlement calendars and force majeure in the admin."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.safestring import SafeString

from ledger.admin.base import action, column, number_or_404, owned_by, state_label
from ledger.admin.command_forms import AddsByCommand, CommandForm, command_page
from ledger.parties.access import Access
from ledger.web import access_of
from settlement.admin.calendar_forms import (
    ConfirmForceMajeureForm,
    RefuseForceMajeureForm,
    RequestForceMajeureForm,
    SetSettlementCalendarForm,
)
from settlement.models import ForceMajeure, RequestState, SettlementCalendar

_LAGS = ("indicative_lag_minutes", "initial_lag_minutes", "final_lag_minutes", "true_up_lag_minutes")


@admin.register(SettlementCalendar)
class SettlementCalendarAdmin(AddsByCommand):
    """Versions; the latest at a gate's closure counts. Everybody reads when what they trade is settled."""

    list_display = ("product", "version", "period_minutes", *_LAGS, "dispute_minutes", "created_at")
    list_select_related = ("product",)
    search_fields = ("product__code",)
    ordering = ("-id",)
    fields = ("product", "version", "period_minutes", *_LAGS, "dispute_minutes", "created_at", "created_by")
    add_form = SetSettlementCalendarForm

    def own_rows(self, access: Access) -> Q | None:
        return Q() if access.party_ids else None

    def may_add(self, access: Access) -> bool:
        return access.is_operator


@admin.register(ForceMajeure)
class ForceMajeureAdmin(AddsByCommand):
    """Times in which a provider owes no damages; its people see their own. Operators decide in twos."""

    list_display = ("id", "provider", "products", "starts_at", "ends_at", "state_shown", "requested_by", "decided_by")
    list_filter = ("state",)
    party_columns = ("provider",)
    list_select_related = ("provider", "product")
    ordering = ("-id",)
    fields = (
        "provider", "products", "starts_at", "ends_at", "reason", "state_shown", "requested_by", "requested_at",
        "decided_by", "decided_at",
    )  # fmt: skip
    readonly_fields = ("products", "state_shown")
    add_form = RequestForceMajeureForm
    actions_detail = ("confirm", "refuse")

    def own_rows(self, access: Access) -> Q | None:
        return owned_by("provider_id", access.provider_ids)

    def may_add(self, access: Access) -> bool:
        return access.is_operator

    @column("Product", ordering="product")
    def products(self, asked: ForceMajeure) -> str:
        return "all" if asked.product is None else asked.product.code

    @column("State", ordering="state")
    def state_shown(self, asked: ForceMajeure) -> SafeString:
        return state_label(asked.state)

    def has_decide_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        asked, access = self._found(request, object_id), access_of(request)
        return (
            access.is_operator
            and asked is not None
            and asked.state == RequestState.REQUESTED
            and asked.requested_by != access.actor
        )

    @action(description="Confirm", url_path="confirm", icon="check_circle", permissions=["decide"])
    def confirm(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, ConfirmForceMajeureForm)

    @action(description="Refuse", url_path="refuse", icon="cancel", permissions=["decide"])
    def refuse(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, RefuseForceMajeureForm)

    def _found(self, request: HttpRequest, object_id: object) -> ForceMajeure | None:
        found: ForceMajeure | None = self.get_queryset(request).filter(pk=number_or_404(str(object_id))).first()
        return found

    def _act_on(self, request: HttpRequest, object_id: str, form: type[CommandForm]) -> HttpResponse:
        asked = get_object_or_404(self.get_queryset(request), pk=number_or_404(object_id))
        return command_page(self, request, form, subject=asked, asked=asked)
