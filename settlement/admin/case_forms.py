"""The forms behind which a party answers a discrepancy case, and operators rule on it."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from ledger.admin.command_forms import CommandForm, Done, ReasonForm, choice_field, paragraph_field, radio_field
from ledger.models import Party
from settlement.case_wording import KINDS, RULINGS
from settlement.commands.decide_ruling import confirm_ruling, reject_ruling
from settlement.commands.propose_ruling import ProposeRuling, propose_ruling
from settlement.commands.review_bias import ReviewBias, review_bias
from settlement.commands.state_in_case import StateInCase, state_in_case
from settlement.metering.records import RULED_KINDS, CaseKind, Ruling
from settlement.models import BiasDecision, DiscrepancyCase


class _CaseForm(CommandForm):
    """A form about one case."""

    def __init__(self, *arguments: Any, case: DiscrepancyCase, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.case = case

    def done(self, message: str) -> Done:
        return Done(message, reverse("admin:settlement_discrepancycase_change", args=(self.case.pk,)))


class AnswerCaseForm(_CaseForm):
    title = "Make a statement"
    intro = "The other side, the operators and the auditor read it. Wrong events are corrected by your meter, not here."
    submit = "Make the statement"

    party = choice_field("For")
    text = paragraph_field("Statement", rows=6)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        sides = self.access.party_ids & {self.case.buyer_id, self.case.provider_id}
        self.choose_from("party", [(str(party.pk), party.name) for party in Party.objects.filter(pk__in=sides)])

    def act(self) -> Done:
        command = StateInCase(self.case.pk, int(self.cleaned_data["party"]), self.cleaned_data["text"])
        state_in_case(command, actor=self.access.actor, now=self.now)
        return self.done("The statement is part of the case.")


class ProposeRulingForm(_CaseForm):
    title = "Propose a ruling"
    submit = "Propose it"

    ruling = radio_field("Ruling", (), initial=Ruling.MINIMUM)
    reason = paragraph_field("Reason", help_text="Both sides read it, and so do who confirms it and the auditor.")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        there_is_a_choice = CaseKind(self.case.kind) in RULED_KINDS
        offered = list(Ruling) if there_is_a_choice else [Ruling.MINIMUM]
        self.choose_from("ruling", [(ruling.value, RULINGS[ruling].capitalize()) for ruling in offered])

    @property
    def intro(self) -> str:  # type: ignore[override]
        return f"{KINDS[self.case.kind][1]} Nothing changes before another operator confirms the ruling."

    def act(self) -> Done:
        command = ProposeRuling(self.case.pk, Ruling(self.cleaned_data["ruling"]), self.cleaned_data["reason"])
        propose_ruling(command, actor=self.access.actor, now=self.now)
        return self.done("The ruling waits for another operator.")


class ConfirmRulingForm(_CaseForm):
    title = "Confirm the ruling"
    submit = "Confirm the ruling"
    dangerous = True

    @property
    def intro(self) -> str:  # type: ignore[override]
        return (
            f"Proposed by {self.case.proposed_by}: {RULINGS[self.case.ruling]}, for all {self.case.requests} requests "
            "of the case as they were reported until now. Runs that follow settle by it. It is final."
        )

    def act(self) -> Done:
        confirm_ruling(self.case.pk, actor=self.access.actor, now=self.now)
        return self.done("The case is decided.")


class RejectRulingForm(ReasonForm):
    title = "Send the case back"
    intro = "The proposal falls; another may be made."
    submit = "Send it back"

    def __init__(self, *arguments: Any, case: DiscrepancyCase, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.case = case

    def act(self) -> Done:
        reject_ruling(self.case.pk, self.cleaned_data["reason"], actor=self.access.actor, now=self.now)
        url = reverse("admin:settlement_discrepancycase_change", args=(self.case.pk,))
        return Done("The case was sent back.", url)


class RestoreToleranceForm(CommandForm):
    title = "Give the tolerance back"
    intro = (
        "Windows that start from now on are settled with the usual tolerance, and the register counts anew from there. "
        "If the figures lean again, it is taken away again."
    )
    submit = "Give it back"

    note = paragraph_field("What the review came to", help_text="The auditor reads it.", rows=3)

    def __init__(self, *arguments: Any, decision: BiasDecision, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.decision = decision

    def act(self) -> Done:
        taken = self.decision
        command = ReviewBias(taken.provider_id, taken.buyer_id, taken.product_id, self.cleaned_data["note"])
        restored = review_bias(command, actor=self.access.actor, now=self.now)
        return Done("The tolerance is back.", reverse("admin:settlement_biasdecision_change", args=(restored.pk,)))
