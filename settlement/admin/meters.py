"""Meters, the keys they sign with, and the ids that came twice."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.safestring import SafeString

from ledger.admin.base import InfinitePaginator, RecordAdmin, action, column, number_or_404, owned_by, state_label
from ledger.admin.command_forms import AddsByCommand, CommandForm, command_page
from ledger.parties.access import Access
from ledger.web import access_of
from settlement.admin.meter_forms import (
    AllowUnsignedForm,
    RegisterMeterForm,
    RegisterMeterKeyForm,
    RequireSignaturesForm,
    RevokeMeterKeyForm,
)
from settlement.metering.signatures import base64url
from settlement.models import Meter, MeterKey, UsageConflict


def _may_act_for(access: Access, party_id: int) -> bool:
    return access.is_operator or party_id in access.party_ids


@admin.register(Meter)
class MeterAdmin(AddsByCommand):
    """Meters. Their own party's staff and operators register their keys and hold them to signing."""

    list_display = ("code", "party", "side", "signature_required", "registered_at")
    party_columns = ("party",)
    list_select_related = ("party",)
    search_fields = ("code", "party__code")
    ordering = ("code",)
    fields = ("code", "party", "side", "registered_at", "signature_required", "current_keys")
    readonly_fields = ("current_keys",)
    add_form = RegisterMeterForm
    actions_detail = ("register_key", "require_signatures", "allow_unsigned")

    def own_rows(self, access: Access) -> Q | None:
        return owned_by("party_id", access.party_ids)

    def may_add(self, access: Access) -> bool:
        return access.is_operator

    @column("Current keys")
    def current_keys(self, meter: Meter) -> str:
        prints = meter.keys.filter(revoked_at=None).order_by("id").values_list("thumbprint", flat=True)
        return ", ".join(prints) or "none"

    def has_keys_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        meter = self._found(object_id)
        return meter is not None and _may_act_for(access_of(request), meter.party_id)

    def has_require_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        meter = self._found(object_id)
        return self.has_keys_permission(request, object_id) and meter is not None and not meter.signature_required

    def has_allow_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        meter = self._found(object_id)
        return self.has_keys_permission(request, object_id) and meter is not None and meter.signature_required

    @action(description="Register a key", url_path="register-key", icon="key", permissions=["keys"])
    def register_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, RegisterMeterKeyForm)

    @action(description="Take signed calls only", url_path="require-signatures", icon="lock", permissions=["require"])
    def require_signatures(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, RequireSignaturesForm)

    @action(description="Take unsigned calls too", url_path="allow-unsigned", icon="lock_open", permissions=["allow"])
    def allow_unsigned(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, AllowUnsignedForm)

    def _found(self, object_id: object) -> Meter | None:
        return Meter.objects.filter(pk=number_or_404(str(object_id))).first()

    def _act_on(self, request: HttpRequest, object_id: str, form: type[CommandForm]) -> HttpResponse:
        meter = get_object_or_404(self.get_queryset(request), pk=number_or_404(object_id))
        return command_page(self, request, form, subject=meter, meter=meter)


@admin.register(MeterKey)
class MeterKeyAdmin(RecordAdmin):
    """Public keys of meters; `keyid` of their signatures is the thumbprint. They are registered at their meter."""

    list_display = ("thumbprint", "meter", "state_shown", "registered_at", "registered_by")
    list_select_related = ("meter",)
    search_fields = ("thumbprint", "meter__code")
    ordering = ("-id",)
    fields = ("thumbprint", "meter", "key_shown", "registered_at", "registered_by", "revoked_at", "revoked_by")
    readonly_fields = ("key_shown",)
    actions_detail = ("revoke",)

    def own_rows(self, access: Access) -> Q | None:
        return owned_by("meter__party_id", access.party_ids)

    @column("Public key, base64url")
    def key_shown(self, key: MeterKey) -> str:
        return base64url(bytes(key.public_key))

    @column("State", ordering="revoked_at")
    def state_shown(self, key: MeterKey) -> SafeString:
        return state_label("current" if key.revoked_at is None else "revoked")

    def has_revoke_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        current = MeterKey.objects.select_related("meter").filter(revoked_at=None)
        key = current.filter(pk=number_or_404(str(object_id))).first()
        return key is not None and _may_act_for(access_of(request), key.meter.party_id)

    @action(description="Revoke", url_path="revoke", icon="key_off", permissions=["revoke"])
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = get_object_or_404(self.get_queryset(request), pk=number_or_404(object_id))
        return command_page(self, request, RevokeMeterKeyForm, subject=key, key=key)


@admin.register(UsageConflict)
class UsageConflictAdmin(RecordAdmin):
    """Ids that came again with other content: evidence, counted nowhere."""

    list_display = ("id", "meter_id", "event_id", "received_at")
    ordering = ("-id",)
    paginator = InfinitePaginator

    def own_rows(self, access: Access) -> Q | None:
        own = owned_by("party_id", access.party_ids)
        return None if own is None else Q(meter_id__in=Meter.objects.filter(own).values("id"))
