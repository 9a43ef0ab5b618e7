"""Deposits, withdrawals and reversals: what waits, and what was decided by whom."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Case, Q, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.safestring import SafeString

from ledger.admin.base import RecordAdmin, action, column, number_or_404, owned_by, state_label
from ledger.admin.command_forms import CommandForm, command_page
from ledger.admin.treasury_forms import ApproveForm, RefuseForm, ReverseForm, describe_amount
from ledger.models import Transfer, TransferKind, TransferState
from ledger.parties.access import Access
from ledger.templatetags.amounts import utc_seconds
from ledger.web import access_of

WAITING_FIRST = Case(When(state=TransferState.REQUESTED, then=Value(0)), default=Value(1))


@admin.register(Transfer)
class TransferAdmin(RecordAdmin):
    """Asked for by one person and decided by another; what waits stands first. A party's staff sees its own."""

    list_display = (
        "id", "kind", "party", "amount_shown", "payment_reference", "state_shown", "requested_by", "decided_by",
    )  # fmt: skip
    list_display_links = ("id", "kind")
    list_filter = ("state", "kind")
    list_select_related = ("party", "currency")
    party_columns = ("party",)
    search_fields = ("payment_reference", "party__code")
    ordering = (WAITING_FIRST, "-id")
    fields = (
        "kind", "party", "amount_shown", "payment_reference", "reverses", "note", "state_shown", "next_step",
        "requested_by", "requested", "decided_by", "decided", "refusal", "transaction_id",
    )  # fmt: skip
    readonly_fields = ("amount_shown", "state_shown", "next_step", "requested", "decided")
    actions_detail = ("approve", "refuse", "reverse")

    def own_rows(self, access: Access) -> Q | None:
        return owned_by("party_id", access.party_ids)

    def has_decide_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        access = access_of(request)
        waiting = Transfer.objects.filter(pk=number_or_404(str(object_id)), state=TransferState.REQUESTED)
        return access.is_operator and waiting.exclude(requested_by=access.actor).exists()

    def has_reverse_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        posted = Transfer.objects.filter(pk=number_or_404(str(object_id)), state=TransferState.POSTED)
        takes_back = Transfer.objects.filter(reverses=number_or_404(str(object_id))).exclude(
            state=TransferState.REFUSED
        )
        return (
            access_of(request).is_operator
            and posted.exclude(kind=TransferKind.REVERSAL).exists()
            and not takes_back.exists()
        )

    @action(description="Approve", url_path="approve", icon="check_circle", permissions=["decide"])
    def approve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, ApproveForm)

    @action(description="Refuse", url_path="refuse", icon="cancel", permissions=["decide"])
    def refuse(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, RefuseForm)

    @action(description="Reverse", url_path="reverse", icon="undo", permissions=["reverse"])
    def reverse(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, ReverseForm)

    def _act_on(self, request: HttpRequest, object_id: str, form: type[CommandForm]) -> HttpResponse:
        transfer = get_object_or_404(Transfer.objects.select_related("party", "currency"), pk=number_or_404(object_id))
        return command_page(
            self, request, form, template="admin/ledger/transfer_form.html", subject=transfer, transfer=transfer
        )

    @column("Amount", ordering="micros")
    def amount_shown(self, transfer: Transfer) -> str:
        return describe_amount(transfer)

    @column("State", ordering="state")
    def state_shown(self, transfer: Transfer) -> SafeString:
        return state_label(transfer.state)

    @column("Next step")
    def next_step(self, transfer: Transfer) -> str:
        if transfer.state != TransferState.REQUESTED:
            return "none: it is decided"
        return f"an operator other than {transfer.requested_by} approves or refuses it"

    @column("Requested at")
    def requested(self, transfer: Transfer) -> str:
        return str(utc_seconds(transfer.requested_at))

    @column("Decided at")
    def decided(self, transfer: Transfer) -> str:
        return str(utc_seconds(transfer.decided_at)) if transfer.decided_at else ""
