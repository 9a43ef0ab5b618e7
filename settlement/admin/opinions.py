"""Auditors' keys and opinions in the admin."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.safestring import SafeString

from ledger.admin.base import RecordAdmin, action, column, state_label
from ledger.admin.command_forms import AddsByCommand, command_page
from ledger.parties.access import Access
from ledger.templatetags.amounts import whole_hex
from ledger.web import access_of
from settlement.admin.opinion_forms import RegisterAuditorKeyForm, RevokeAuditorKeyForm
from settlement.models import AuditorKey, StatementOpinion


@admin.register(AuditorKey)
class AuditorKeyAdmin(AddsByCommand):
    """Keys that auditors sign opinions with; published with those of the exchange."""

    list_display = ("kid", "auditor", "state_shown", "valid_from", "registered_by")
    ordering = ("auditor", "valid_from")
    fields = ("kid", "auditor", "public_jwk", "valid_from", "registered_by", "revoked_at")
    add_form = RegisterAuditorKeyForm
    actions_detail = ("revoke",)

    def may_add(self, access: Access) -> bool:
        return access.is_operator

    @column("State", ordering="revoked_at")
    def state_shown(self, key: AuditorKey) -> SafeString:
        return state_label("current" if key.revoked_at is None else "revoked")

    def has_revoke_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        current = AuditorKey.objects.filter(pk=str(object_id), revoked_at=None)
        return access_of(request).is_operator and current.exists()

    @action(description="Revoke", url_path="revoke", icon="key_off", permissions=["revoke"])
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = get_object_or_404(AuditorKey, pk=object_id)
        return command_page(self, request, RevokeAuditorKeyForm, subject=key, key=key)


@admin.register(StatementOpinion)
class StatementOpinionAdmin(RecordAdmin):
    """What auditors signed about statements."""

    list_display = ("statement", "opinion_shown", "auditor", "given_at", "actor")
    list_filter = ("opinion",)
    list_select_related = ("statement__party", "statement__currency", "key")
    ordering = ("-id",)
    fields = ("statement", "opinion", "findings", "key", "given_at", "actor", "protected", "signature")
    readonly_fields = ("findings",)

    @column("Opinion", ordering="opinion")
    def opinion_shown(self, opinion: StatementOpinion) -> SafeString:
        return state_label(opinion.opinion)

    @column("Auditor")
    def auditor(self, opinion: StatementOpinion) -> str:
        return opinion.key.auditor

    @column("Digest of the findings")
    def findings(self, opinion: StatementOpinion) -> str:
        return whole_hex(opinion.findings_digest)
