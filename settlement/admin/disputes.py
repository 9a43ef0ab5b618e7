"""Disputes in the admin: parties open them and say more, operators decide in twos."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from exchange.models import Contract
from ledger.admin.base import InfinitePaginator, RecordAdmin, action, column, number_or_404, owned_by
from ledger.admin.command_forms import AddsByCommand, CommandForm, command_page
from ledger.models import Party
from ledger.parties.access import Access
from ledger.templatetags.amounts import micros
from ledger.web import access_of
from settlement.admin.dispute_forms import (
    AddToDisputeForm,
    DecideDisputeForm,
    OpenDisputeForm,
    ProposeDecisionForm,
    WithdrawDisputeForm,
)
from settlement.dispute_wording import NEXT_STEPS, REASONS, STATE_STYLES
from settlement.disputes.entries import UNDECIDED
from settlement.models import Dispute, DisputeState, PartyNotice


@admin.register(Dispute)
class DisputeAdmin(AddsByCommand):
    """Disputed lines; both sides see them."""

    list_display = ("id", "contract", "line_kind", "by", "against", "disputed", "state_shown", "decide_by")
    list_filter = ("state", "reason")
    list_select_related = ("party", "statement__party", "statement__currency")
    ordering = ("-id",)
    paginator = InfinitePaginator
    fields = (
        "statement", "line_number", "line_kind", "contract", "by", "against", "reason_shown", "text", "state_shown",
        "next_step", "disputed", "suspended", "decided", "opened_at", "opened_by", "decide_by", "proposed_by",
        "decided_by", "decided_at", "page",
    )  # fmt: skip
    readonly_fields = (
        "contract", "by", "against", "reason_shown", "state_shown", "next_step", "disputed", "suspended", "decided",
        "page",
    )  # fmt: skip
    add_form = OpenDisputeForm
    actions_detail = ("say_more", "withdraw", "propose", "decide")

    def own_rows(self, access: Access) -> Q | None:
        own = list(access.party_ids)
        return Q(party_id__in=own) | Q(payee_id__in=own) if own else None

    def may_add(self, access: Access) -> bool:
        return bool(access.party_ids)

    def get_queryset(self, request: HttpRequest) -> Any:
        return (
            super()
            .get_queryset(request)
            .annotate(
                symbol=_named(Contract.objects.all(), "contract_id", "symbol"),
                payee_name=_named(Party.objects.all(), "payee_id", "name"),
            )
        )

    @column("Contract", ordering="contract_id")
    def contract(self, dispute: Any) -> str:
        return str(dispute.symbol)

    @column("Disputed by", ordering="party_id")
    def by(self, dispute: Dispute) -> str:
        return str(dispute.party)

    @column("Other side", ordering="payee_id")
    def against(self, dispute: Any) -> str:
        return str(dispute.payee_name)

    @column("Disputed", ordering="disputed_micros")
    def disputed(self, dispute: Dispute) -> str:
        return str(micros(dispute.disputed_micros))

    @column("Suspended when opened")
    def suspended(self, dispute: Dispute) -> str:
        return str(micros(dispute.suspended_micros))

    @column("Proposed or decided")
    def decided(self, dispute: Dispute) -> str:
        return "nothing yet" if dispute.decided_micros is None else str(micros(dispute.decided_micros))

    @column("Reason")
    def reason_shown(self, dispute: Dispute) -> str:
        return REASONS[dispute.reason]

    @column("State", ordering="state")
    def state_shown(self, dispute: Dispute) -> SafeString:
        return format_html('<span class="state {}">{}</span>', STATE_STYLES[dispute.state], dispute.state)

    @column("Next step")
    def next_step(self, dispute: Dispute) -> str:
        return NEXT_STEPS[dispute.state]

    @column("Its page")
    def page(self, dispute: Dispute) -> SafeString:
        return format_html(
            '<a href="{}">All that was said, with the evidence</a>', reverse("dispute", args=[dispute.pk])
        )

    def has_say_more_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        dispute, access = self._found(request, object_id), access_of(request)
        return (
            dispute is not None
            and dispute.state in UNDECIDED
            and bool(access.party_ids & {dispute.party_id, dispute.payee_id})
        )

    def has_withdraw_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        dispute = self._found(request, object_id)
        return dispute is not None and dispute.state in UNDECIDED and dispute.party_id in access_of(request).party_ids

    def has_propose_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        dispute = self._found(request, object_id)
        return access_of(request).is_operator and dispute is not None and dispute.state == DisputeState.OPEN

    def has_decide_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        dispute, access = self._found(request, object_id), access_of(request)
        return (
            access.is_operator
            and dispute is not None
            and dispute.state == DisputeState.PROPOSED
            and dispute.proposed_by != access.actor
        )

    @action(description="Say more", url_path="say-more", icon="chat", permissions=["say_more"])
    def say_more(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, AddToDisputeForm)

    @action(description="Withdraw", url_path="withdraw", icon="undo", permissions=["withdraw"])
    def withdraw(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, WithdrawDisputeForm)

    @action(description="Propose a decision", url_path="propose", icon="gavel", permissions=["propose"])
    def propose(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, ProposeDecisionForm)

    @action(description="Decide", url_path="decide", icon="check_circle", permissions=["decide"])
    def decide(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, DecideDisputeForm)

    def _found(self, request: HttpRequest, object_id: object) -> Dispute | None:
        found: Dispute | None = self.get_queryset(request).filter(pk=number_or_404(str(object_id))).first()
        return found

    def _act_on(self, request: HttpRequest, object_id: str, form: type[CommandForm]) -> HttpResponse:
        dispute = get_object_or_404(self.get_queryset(request), pk=number_or_404(object_id))
        return command_page(self, request, form, subject=dispute, dispute=dispute)


@admin.register(PartyNotice)
class PartyNoticeAdmin(RecordAdmin):
    """What parties were told."""

    list_display = ("id", "party", "kind", "subject", "at")
    list_filter = ("kind",)
    list_select_related = ("party",)
    party_columns = ("party",)
    ordering = ("-id",)
    paginator = InfinitePaginator

    def own_rows(self, access: Access) -> Q | None:
        return owned_by("party_id", access.party_ids)


def _named(table: QuerySet[Any], number: str, name: str) -> Subquery:
    return Subquery(table.filter(id=OuterRef(number)).values(name)[:1])
