"""Payments that came back after they were confirmed: a second operator accepts or refuses what a bank's file says."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.safestring import SafeString

from ledger.admin.base import RecordAdmin, action, column, number_or_404, state_label
from ledger.admin.command_forms import CommandForm, Done, ReasonForm, command_page
from ledger.templatetags.amounts import money
from ledger.web import access_of
from settlement.models import PaymentReturn, RequestState
from settlement.payments.returns import accept_return, refuse_return


class AcceptReturnForm(CommandForm):
    title = "Accept a return"
    intro = "Look at the bank's own record: the party is credited at once. Not by who took the file in or sent it."
    submit = "Accept"

    def __init__(self, *arguments: Any, asked: PaymentReturn, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.asked = asked

    def act(self) -> Done:
        accept_return(self.asked.pk, actor=self.access.actor, now=self.now)
        return Done("The party has it back.", _page(self.asked))


class RefuseReturnForm(ReasonForm):
    title = "Refuse a return"
    intro = "The payment stands as paid."
    submit = "Refuse"
    dangerous = True

    def __init__(self, *arguments: Any, asked: PaymentReturn, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.asked = asked

    def act(self) -> Done:
        refuse_return(self.asked.pk, self.cleaned_data["reason"], actor=self.access.actor, now=self.now)
        return Done("The return is refused.", _page(self.asked))


@admin.register(PaymentReturn)
class PaymentReturnAdmin(RecordAdmin):
    """Returns of confirmed payments: told by a bank's file that one operator took in, accepted by another."""

    list_display = ("id", "instruction", "amount", "reason", "state_shown", "requested_by", "decided_by")
    list_filter = ("state",)
    list_select_related = ("instruction__netting__currency",)
    ordering = ("-id",)
    fields = (
        "instruction", "amount", "confirmation", "reason", "bank_reference", "state_shown", "requested_by",
        "requested_at", "decided_by", "decided_at",
    )  # fmt: skip
    readonly_fields = ("amount", "state_shown")
    actions_detail = ("accept", "refuse")

    def has_decide_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        access = access_of(request)
        waiting = PaymentReturn.objects.filter(pk=number_or_404(str(object_id)), state=RequestState.REQUESTED)
        others = waiting.exclude(requested_by=access.actor).exclude(instruction__file__created_by=access.actor)
        return access.is_operator and others.exists()

    @action(description="Accept", url_path="accept", icon="check_circle", permissions=["decide"])
    def accept(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, AcceptReturnForm)

    @action(description="Refuse", url_path="refuse", icon="cancel", permissions=["decide"])
    def refuse(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, RefuseReturnForm)

    def _act_on(self, request: HttpRequest, object_id: str, form: type[CommandForm]) -> HttpResponse:
        asked = get_object_or_404(PaymentReturn, pk=number_or_404(object_id))
        return command_page(self, request, form, subject=asked, asked=asked)

    @column("Amount", ordering="instruction__micros")
    def amount(self, row: PaymentReturn) -> str:
        return f"{money(row.instruction.micros)} {row.instruction.netting.currency.code}"

    @column("State", ordering="state")
    def state_shown(self, row: PaymentReturn) -> SafeString:
        return state_label(row.state)


def _page(asked: PaymentReturn) -> str:
    return reverse("admin:settlement_paymentreturn_change", args=(asked.pk,))
