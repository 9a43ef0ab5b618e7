"""The forms behind which one operator asks for an act that takes two, and another decides it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse

from exchange.commands.decide_request import approve_decision, refuse_decision
from exchange.commands.request_decision import RequestDecision, request_decision
from exchange.models import DecisionKind, OperatorDecision
from ledger.admin.command_forms import CommandForm, Done, ReasonForm, choice_field, paragraph_field, text_field

CONSEQUENCES: Mapping[DecisionKind, str] = {
    DecisionKind.CANCEL_CONTRACT: (
        "Its open orders go. Before delivery every trade in it is taken back with its fees; during delivery what is "
        "not delivered yet is short, without damages. It does not trade again."
    ),
    DecisionKind.DEFAULT_PROVIDER: (
        "From the approval on its orders go, its cash is frozen, it may sell nothing, and all that it has not "
        "delivered is short: buyers get their money back, and damages up to its bonds. It is final."
    ),
    DecisionKind.BUST_FILL: "The trade is taken back with its fee. It must come before the gate closes.",
}


class RequestDecisionForm(CommandForm):
    title = "Request an act that takes two operators"
    intro = "Nothing happens before another operator has approved it."
    submit = "Send the request"
    dangerous = True

    kind = choice_field("What is to be done", DecisionKind.choices)
    subject = text_field("To what", help_text="A contract's symbol, a provider's code, or the number of a fill.")
    reason = paragraph_field(
        "Reason", help_text="Whoever approves reads it; so do the parties and the auditor.", rows=3
    )

    def act(self) -> Done:
        data = self.cleaned_data
        command = RequestDecision(DecisionKind(data["kind"]), data["subject"], data["reason"])
        decision = request_decision(command, actor=self.access.actor, now=self.now)
        return Done(f"The request waits for another operator: {decision}.", _page(decision))


class ApproveDecisionForm(CommandForm):
    title = "Approve and carry out"
    submit = "Approve and carry out"
    dangerous = True

    def __init__(self, *arguments: Any, decision: OperatorDecision, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.decision = decision

    @property
    def intro(self) -> str:  # type: ignore[override]
        return CONSEQUENCES[DecisionKind(self.decision.kind)]

    def act(self) -> Done:
        decision = approve_decision(self.decision.pk, actor=self.access.actor, now=self.now)
        return Done(f"Approved: {decision}. It is carried out as its turn comes.", _page(decision))


class RefuseDecisionForm(ReasonForm):
    title = "Refuse"
    intro = "Nothing is done. It can be asked for again."
    submit = "Refuse the request"

    def __init__(self, *arguments: Any, decision: OperatorDecision, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.decision = decision

    def act(self) -> Done:
        reason = self.cleaned_data["reason"]
        decision = refuse_decision(self.decision.pk, reason, actor=self.access.actor, now=self.now)
        return Done(f"Refused: {decision}.", _page(decision))


def _page(decision: OperatorDecision) -> str:
    return reverse("admin:exchange_operatordecision_change", args=(decision.pk,))
