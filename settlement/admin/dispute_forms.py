"""The forms behind which parties dispute lines and say more, and operators decide in twos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.files.uploadedfile import UploadedFile
from django.urls import reverse

from ledger.admin.command_forms import (
    CommandForm,
    Done,
    choice_field,
    decimal_field,
    file_field,
    number_field,
    paragraph_field,
    radio_field,
)
from ledger.models import Party
from ledger.money import format_micros, parse_micros
from settlement.commands.add_to_dispute import add_to_dispute
from settlement.commands.decide_dispute import decide_dispute
from settlement.commands.open_dispute import open_dispute
from settlement.commands.propose_dispute import propose_dispute
from settlement.commands.withdraw_dispute import withdraw_dispute
from settlement.dispute_wording import REASONS
from settlement.disputes.errors import EvidenceMismatch, EvidenceTooLarge
from settlement.disputes.evidence import EvidenceFile, NamedRecord
from settlement.disputes.rules import MAX_FILE_BYTES
from settlement.models import Dispute, DisputeReason
from settlement.selectors.disputes import list_disputable

FILE_HELP = f"At most {MAX_FILE_BYTES // 1_000_000} MB. More can be added afterwards, one after another."
RECORDS_HELP = "One a line: code of the meter, a space, id of the event there."
READ_BY = "The other side, the operators and the auditor read it."


class _EvidenceForm(CommandForm):
    """A form with evidence."""

    field_of: ClassVar[Mapping[str, str]] = {"files": "file"}

    def uploaded(self) -> tuple[EvidenceFile, ...]:
        upload: UploadedFile[Any] | None = self.cleaned_data["file"]
        if upload is None:
            return ()
        if (upload.size or 0) > MAX_FILE_BYTES:
            raise EvidenceTooLarge(f"A file has 1 to {MAX_FILE_BYTES} bytes.", field="files")
        named = upload.content_type or ""
        return (EvidenceFile(upload.name or "", named or "application/octet-stream", upload.read()),)

    def named_records(self) -> tuple[NamedRecord, ...]:
        found = []
        for line in self.cleaned_data["usage_records"].splitlines():
            meter, _, event_id = line.strip().partition(" ")
            if not meter:
                continue
            if not event_id.strip():
                raise EvidenceMismatch(f"The line {meter[:80]!r} names no event.", field="usage_records")
            found.append(NamedRecord(meter, event_id.strip()))
        return tuple(found)


class OpenDisputeForm(_EvidenceForm):
    title = "Dispute a line"
    intro = (
        "What the other side has free of the amount goes into suspense until the dispute is decided; everything else "
        "stays paid. Only lines of statements whose time for disputes is not over are taken."
    )
    submit = "Open the dispute"

    statement = choice_field("Statement")
    line = number_field("Line", help_text="Its number on the statement.")
    amount = decimal_field("Amount", help_text="How much more you should have; at most the line's amount.")
    reason = choice_field("Reason", [(reason, REASONS[reason]) for reason in DisputeReason.values])
    text = paragraph_field("What is wrong", rows=6, help_text=READ_BY)
    file = file_field("Evidence: a file", required=False, help_text=FILE_HELP)
    usage_records = paragraph_field("Evidence: usage records", required=False, rows=3, help_text=RECORDS_HELP)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.statements = {str(each.pk): each for each in list_disputable(self.access.party_ids, now=self.now)}
        self.choose_from(
            "statement",
            [
                (
                    number,
                    f"{each.party.code}: {each.currency.code} {each.sequence}, {each.run.kind} "
                    f"{each.run.period_start:%Y-%m-%d %H:%M}, until {each.run.dispute_until:%Y-%m-%d %H:%M} UTC",
                )
                for number, each in self.statements.items()
            ],
        )

    def act(self) -> Done:
        data = self.cleaned_data
        statement = self.statements[data["statement"]]
        dispute = open_dispute(
            statement.pk,
            data["line"],
            parse_micros(data["amount"]),
            data["reason"],
            data["text"],
            self.uploaded(),
            usage_records=self.named_records(),
            party_id=statement.party_id,
            actor=self.access.actor,
            now=self.now,
        )
        suspended = format_micros(dispute.suspended_micros)
        return Done(f"The dispute is open; {suspended} lies in suspense for it.", _page(dispute))


class AddToDisputeForm(_EvidenceForm):
    title = "Say more"
    intro = READ_BY
    submit = "Add it"

    party = choice_field("For")
    text = paragraph_field("What there is to say", rows=6)
    file = file_field("Evidence: a file", required=False, help_text=FILE_HELP)
    usage_records = paragraph_field("Evidence: usage records", required=False, rows=3, help_text=RECORDS_HELP)

    def __init__(self, *arguments: Any, dispute: Dispute, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.dispute = dispute
        sides = self.access.party_ids & {dispute.party_id, dispute.payee_id}
        self.choose_from("party", [(str(party.pk), party.name) for party in Party.objects.filter(pk__in=sides)])

    def act(self) -> Done:
        add_to_dispute(
            self.dispute.pk,
            self.cleaned_data["text"],
            self.uploaded(),
            usage_records=self.named_records(),
            party_id=int(self.cleaned_data["party"]),
            actor=self.access.actor,
            now=self.now,
        )
        return Done("It is part of the dispute.", _page(self.dispute))


class _WordForm(CommandForm):
    """A form about one dispute that needs a word."""

    text = paragraph_field("Reason", help_text="Both sides and the auditor read it.")

    def __init__(self, *arguments: Any, dispute: Dispute, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.dispute = dispute


class WithdrawDisputeForm(_WordForm):
    title = "Withdraw the dispute"
    intro = "The line stands, and what lies in suspense goes back. Until the deadline it can be disputed again."
    submit = "Withdraw it"

    def act(self) -> Done:
        withdraw_dispute(
            self.dispute.pk,
            self.cleaned_data["text"],
            party_id=self.dispute.party_id,
            actor=self.access.actor,
            now=self.now,
        )
        return Done("The dispute is withdrawn.", _page(self.dispute))


class ProposeDecisionForm(_WordForm):
    title = "Propose a decision"
    submit = "Propose it"
    field_order = ("amount", "text")

    amount = decimal_field("Amount that was right to dispute", help_text="0 rejects the dispute.")

    @property
    def intro(self) -> str:  # type: ignore[override]
        disputed = format_micros(self.dispute.disputed_micros)
        return f"Disputed is {disputed}. Nothing changes before another operator confirms the decision."

    def act(self) -> Done:
        micros = parse_micros(self.cleaned_data["amount"])
        propose_dispute(self.dispute.pk, micros, self.cleaned_data["text"], actor=self.access.actor, now=self.now)
        return Done("The decision waits for another operator.", _page(self.dispute))


class DecideDisputeForm(_WordForm):
    title = "Decide the dispute"
    submit = "Decide"
    dangerous = True
    field_order = ("proposed", "decision", "text")

    proposed = decimal_field("Proposed amount", help_text="Type it again: what you confirm is what you saw.")
    decision = radio_field(
        "Decision",
        [("confirm", "Confirm it. It is final."), ("back", "Send it back. Another may be proposed.")],
        initial="back",
    )

    @property
    def intro(self) -> str:  # type: ignore[override]
        proposed = format_micros(self.dispute.decided_micros or 0)
        return (
            f"{self.dispute.proposed_by} proposes {proposed} of {format_micros(self.dispute.disputed_micros)}. "
            "With more than 0 a settlement run of its own posts it; with 0 the suspended amount goes back at once."
        )

    def act(self) -> Done:
        micros = parse_micros(self.cleaned_data["proposed"], field="proposed")
        decided = micros if self.cleaned_data["decision"] == "confirm" else None
        text = self.cleaned_data["text"]
        dispute = decide_dispute(self.dispute.pk, decided, text, actor=self.access.actor, now=self.now)
        return Done(f"The dispute is {dispute.state}.", _page(dispute))


def _page(dispute: Dispute) -> str:
    return reverse("admin:settlement_dispute_change", args=(dispute.pk,))
