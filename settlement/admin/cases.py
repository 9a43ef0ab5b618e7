"""Discrepancy cases and the bias register in the admin: parties answer, operators rule in twos."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from exchange.models import Product
from ledger.admin.base import action, column, number_or_404
from ledger.admin.command_forms import CommandForm, command_page
from ledger.templatetags.amounts import count, thousandths
from ledger.web import access_of
from settlement.admin.case_forms import (
    AnswerCaseForm,
    ConfirmRulingForm,
    ProposeRulingForm,
    RejectRulingForm,
    RestoreToleranceForm,
)
from settlement.admin.records import PairRows, PositionRows
from settlement.case_wording import KINDS, NEXT_STEPS, RULINGS, STATE_STYLES
from settlement.metering.bias_register import RegisterKey, latest_decision
from settlement.models import BiasDecision, BiasStep, CaseState, DiscrepancyCase, PairReconciliation
from settlement.selectors.cases import UNSETTLED_STATES


@admin.register(DiscrepancyCase)
class DiscrepancyCaseAdmin(PositionRows):
    """One kind of discrepancy in a position; both sides see it."""

    list_display = ("id", "contract", "buyer", "provider", "kind_shown", "state_shown", "requests", "difference")
    list_filter = ("state", "kind")
    fields = (
        "contract", "buyer", "provider", "kind_shown", "state_shown", "next_step", "requests", "provider_says",
        "buyer_says", "settles", "ruling_shown", "proposed_by", "decided_by", "opened_at", "changed_at", "page",
    )  # fmt: skip
    readonly_fields = (
        "contract", "buyer", "provider", "kind_shown", "state_shown", "next_step", "provider_says", "buyer_says",
        "settles", "ruling_shown", "page",
    )  # fmt: skip
    actions_detail = ("answer", "propose", "confirm", "reject")

    @column("What", ordering="kind")
    def kind_shown(self, case: DiscrepancyCase) -> str:
        return KINDS[case.kind][0]

    @column("State", ordering="state")
    def state_shown(self, case: DiscrepancyCase) -> SafeString:
        return format_html('<span class="state {}">{}</span>', STATE_STYLES[case.state], case.state)

    @column("Next step")
    def next_step(self, case: DiscrepancyCase) -> str:
        return NEXT_STEPS[case.state]

    @column("Provider says")
    def provider_says(self, case: DiscrepancyCase) -> str:
        return f"{thousandths(case.provider_millitokens)} contract tokens"

    @column("Buyer says")
    def buyer_says(self, case: DiscrepancyCase) -> str:
        return f"{thousandths(case.buyer_millitokens)} contract tokens"

    @column("Settles")
    def settles(self, case: DiscrepancyCase) -> str:
        return f"{thousandths(case.settled_millitokens)} contract tokens"

    @column("Apart, contract tokens")
    def difference(self, case: DiscrepancyCase) -> str:
        return thousandths(abs(case.provider_millitokens - case.buyer_millitokens))

    @column("Ruling")
    def ruling_shown(self, case: DiscrepancyCase) -> str:
        return RULINGS.get(case.ruling, "none")

    @column("Its page")
    def page(self, case: DiscrepancyCase) -> SafeString:
        return format_html(
            '<a href="{}">Requests, tokens by kind, and what was said</a>', reverse("case", args=[case.pk])
        )

    def has_answer_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        case = self._found(request, object_id)
        own = access_of(request).party_ids
        return case is not None and case.state in UNSETTLED_STATES and bool(own & {case.buyer_id, case.provider_id})

    def has_propose_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        case = self._found(request, object_id)
        return (
            access_of(request).is_operator and case is not None and case.state in (CaseState.OPEN, CaseState.ANSWERED)
        )

    def has_decide_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        case, access = self._found(request, object_id), access_of(request)
        return (
            access.is_operator
            and case is not None
            and case.state == CaseState.PROPOSED
            and case.proposed_by != access.actor
        )

    @action(description="Make a statement", url_path="answer", icon="chat", permissions=["answer"])
    def answer(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, AnswerCaseForm)

    @action(description="Propose a ruling", url_path="propose", icon="gavel", permissions=["propose"])
    def propose(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, ProposeRulingForm)

    @action(description="Confirm the ruling", url_path="confirm", icon="check_circle", permissions=["decide"])
    def confirm(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, ConfirmRulingForm)

    @action(description="Send back", url_path="reject", icon="cancel", permissions=["decide"])
    def reject(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, RejectRulingForm)

    def _found(self, request: HttpRequest, object_id: object) -> DiscrepancyCase | None:
        found: DiscrepancyCase | None = self.get_queryset(request).filter(pk=number_or_404(str(object_id))).first()
        return found

    def _act_on(self, request: HttpRequest, object_id: str, form: type[CommandForm]) -> HttpResponse:
        case = get_object_or_404(self.get_queryset(request), pk=number_or_404(object_id))
        return command_page(self, request, form, subject=case, case=case)


@admin.register(BiasDecision)
class BiasDecisionAdmin(PairRows):
    """When a pair's tolerance was taken from it, and given back."""

    list_display = ("id", "provider", "buyer", "product", "step_shown", "effective_from", "decided_by")
    list_filter = ("step",)
    fields = (
        "provider", "buyer", "product", "step_shown", "effective_from", "decided_at", "decided_by", "figures", "note",
    )  # fmt: skip
    readonly_fields = ("provider", "buyer", "product", "step_shown")
    actions_detail = ("restore",)

    def get_queryset(self, request: HttpRequest) -> Any:
        code = Subquery(Product.objects.filter(id=OuterRef("product_id")).values("code")[:1])
        return super().get_queryset(request).annotate(product_code=code)

    @column("Product", ordering="product_id")
    def product(self, decision: Any) -> str:
        return str(decision.product_code)

    @column("What", ordering="step")
    def step_shown(self, decision: BiasDecision) -> SafeString:
        taken = decision.step == BiasStep.ZEROED
        return format_html('<span class="state {}">{}</span>', "failed" if taken else "done", decision.step)

    def has_restore_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        decision = BiasDecision.objects.filter(pk=number_or_404(str(object_id))).first()
        if decision is None or decision.step != BiasStep.ZEROED or not access_of(request).is_operator:
            return False
        key = RegisterKey(decision.provider_id, decision.buyer_id, decision.product_id)
        return latest_decision(key) == decision

    @action(description="Give the tolerance back", url_path="restore", icon="undo", permissions=["restore"])
    def restore(self, request: HttpRequest, object_id: str) -> HttpResponse:
        decision = get_object_or_404(BiasDecision, pk=number_or_404(object_id))
        return command_page(self, request, RestoreToleranceForm, subject=decision, decision=decision)


@admin.register(PairReconciliation)
class PairReconciliationAdmin(PositionRows):
    """What reconciling came to for a pair, once a set of inputs; the highest revision stands."""

    list_display = ("id", "contract", "buyer", "provider", "revision", "compared", "differing", "reconciled_at")
    fields = (
        "contract", "buyer", "provider", "revision", "delivery_start", "reconciled_at", "tolerance_zero",
        "compared", "differing", "figures",
    )  # fmt: skip
    readonly_fields = ("contract", "buyer", "provider", "compared", "differing")

    @column("Compared")
    def compared(self, row: PairReconciliation) -> str:
        return count(row.compared_requests)

    @column("Differing")
    def differing(self, row: PairReconciliation) -> str:
        return count(row.differing_requests)
