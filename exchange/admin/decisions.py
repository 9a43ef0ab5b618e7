"""Acts that take two operators: what waits, what was decided by whom, and what came of it."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Case, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.safestring import SafeString

from exchange.admin.decision_forms import ApproveDecisionForm, RefuseDecisionForm, RequestDecisionForm
from exchange.models import DecisionKind, DecisionState, IntakeResult, OperatorDecision
from ledger.admin.base import action, column, number_or_404, state_label
from ledger.admin.command_forms import AddsByCommand, CommandForm, command_page
from ledger.parties.access import Access
from ledger.templatetags.amounts import utc_seconds
from ledger.web import access_of

WAITING_FIRST = Case(When(state=DecisionState.REQUESTED, then=Value(0)), default=Value(1))


def request_url(kind: DecisionKind, subject: str) -> str:
    """Where an operator asks for an act, with kind and subject filled in."""
    return f"{reverse('admin:exchange_operatordecision_add')}?{urlencode({'kind': kind.value, 'subject': subject})}"


@admin.register(OperatorDecision)
class OperatorDecisionAdmin(AddsByCommand):
    """Asked for by one operator and decided by another; what waits stands first."""

    list_display = ("id", "kind", "subject", "state_shown", "outcome", "requested_by", "decided_by")
    list_display_links = ("id", "kind")
    list_filter = ("state", "kind")
    search_fields = ("subject",)
    ordering = (WAITING_FIRST, "-id")
    fields = (
        "kind", "subject", "reason", "state_shown", "next_step", "requested_by", "requested", "decided_by", "decided",
        "refusal", "results",
    )  # fmt: skip
    readonly_fields = ("state_shown", "next_step", "requested", "decided", "results")
    add_form = RequestDecisionForm
    actions_detail = ("approve", "refuse")

    def may_add(self, access: Access) -> bool:
        return access.is_operator

    def has_decide_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        access = access_of(request)
        waiting = OperatorDecision.objects.filter(pk=number_or_404(str(object_id)), state=DecisionState.REQUESTED)
        return access.is_operator and waiting.exclude(requested_by=access.actor).exists()

    @action(description="Approve", url_path="approve", icon="check_circle", permissions=["decide"])
    def approve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, ApproveDecisionForm)

    @action(description="Refuse", url_path="refuse", icon="cancel", permissions=["decide"])
    def refuse(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, RefuseDecisionForm)

    def _act_on(self, request: HttpRequest, object_id: str, form: type[CommandForm]) -> HttpResponse:
        decision = get_object_or_404(OperatorDecision, pk=number_or_404(object_id))
        template = "admin/exchange/decision_form.html"
        return command_page(self, request, form, template=template, subject=decision, decision=decision)

    @column("State", ordering="state")
    def state_shown(self, decision: OperatorDecision) -> SafeString:
        return state_label(decision.state)

    @column("Outcome")
    def outcome(self, decision: OperatorDecision) -> str:
        """What the sequencers said, each command once."""
        results = IntakeResult.objects.filter(seq__in=decision.seqs).order_by("seq").values_list("result", flat=True)
        told = [str(result.get("message") or result["status"]) for result in results]
        waiting = len(decision.seqs) - len(told)
        return ", ".join(dict.fromkeys([*told, *(["waits for the sequencer"] if waiting else [])]))

    @column("Next step")
    def next_step(self, decision: OperatorDecision) -> str:
        if decision.state != DecisionState.REQUESTED:
            return "none: it is decided"
        return f"an operator other than {decision.requested_by} approves or refuses it"

    @column("Requested at")
    def requested(self, decision: OperatorDecision) -> str:
        return str(utc_seconds(decision.requested_at))

    @column("Decided at")
    def decided(self, decision: OperatorDecision) -> str:
        return str(utc_seconds(decision.decided_at)) if decision.decided_at else ""

    @column("Results by command")
    def results(self, decision: OperatorDecision) -> str:
        found = dict(IntakeResult.objects.filter(seq__in=decision.seqs).values_list("seq", "result"))
        return json.dumps({seq: found.get(seq, "not decided yet") for seq in decision.seqs}, indent=2)
