"""Forms for settlement calendars and force majeure."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from django.urls import reverse

from exchange.models import Product
from ledger.admin.command_forms import (
    CommandForm,
    Done,
    ReasonForm,
    choice_field,
    moment_field,
    number_field,
    paragraph_field,
    text_field,
)
from ledger.models import Party, PartyKind
from ledger.money import parse_count
from settlement.commands.decide_force_majeure import confirm_force_majeure, refuse_force_majeure
from settlement.commands.request_force_majeure import MAX_REASON, RequestForceMajeure, request_force_majeure
from settlement.commands.set_settlement_calendar import (
    MAX_LAG_MINUTES,
    SetSettlementCalendar,
    set_settlement_calendar,
)
from settlement.models import ForceMajeure


class SetSettlementCalendarForm(CommandForm):
    title = "Set a settlement calendar"
    intro = (
        "When a product is settled, for contracts whose gates close from now on. It then settles in runs of its own, "
        "apart from products that follow the exchange's calendar. Minutes count from the end of a period."
    )
    submit = "Set this calendar"
    columns = True

    product = choice_field("Product")
    period_minutes = number_field("Period in minutes", help_text="Counted from midnight UTC; they divide a day.")
    indicative_lag_minutes = text_field(
        "Indicative run after, in minutes", help_text="Empty for none.", required=False, inputmode="numeric"
    )
    initial_lag_minutes = text_field("Initial run after, in minutes", inputmode="numeric")
    final_lag_minutes = number_field("Final run after, in minutes")
    true_up_lag_minutes = text_field(
        "True-up run after, in minutes", help_text="Empty for none.", required=False, inputmode="numeric"
    )
    dispute_minutes = text_field("Disputes until so many minutes after a run was due", inputmode="numeric")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        codes = Product.objects.order_by("code").values_list("code", flat=True)
        self.choose_from("product", [(code, code) for code in codes])

    def act(self) -> Done:
        data = self.cleaned_data
        command = SetSettlementCalendar(
            product_code=data["product"],
            period_minutes=data["period_minutes"],
            indicative_lag_minutes=self._minutes("indicative_lag_minutes"),
            initial_lag_minutes=self._minutes("initial_lag_minutes") or 0,
            final_lag_minutes=data["final_lag_minutes"],
            true_up_lag_minutes=self._minutes("true_up_lag_minutes"),
            dispute_minutes=self._minutes("dispute_minutes") or 0,
        )
        calendar = set_settlement_calendar(command, actor=self.access.actor, now=self.now)
        url = reverse("admin:settlement_settlementcalendar_change", args=(calendar.pk,))
        return Done(f"Version {calendar.version} counts from the next gate closure on.", url)

    def _minutes(self, field: str) -> int | None:
        text = self.cleaned_data[field]
        return parse_count(text, field=field, maximum=MAX_LAG_MINUTES) if text else None


class RequestForceMajeureForm(CommandForm):
    title = "Ask for force majeure"
    intro = (
        "For what the provider refused in this time it owes no damages; the buyer is refunded all the same. Another "
        "operator confirms it. It counts for settlement runs that begin after that."
    )
    submit = "Ask for it"

    provider = choice_field("Provider")
    product = choice_field("Product", required=False)
    starts_at = moment_field("From", help_text="In UTC, to the minute.")
    ends_at = moment_field("Until", help_text="In UTC, to the minute.")
    reason = paragraph_field("Reason", help_text=f"At most {MAX_REASON} characters; the provider reads it.")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        providers = Party.objects.filter(kind=PartyKind.PROVIDER).order_by("name")
        self.choose_from("provider", [(str(party.pk), party.name) for party in providers])
        codes = Product.objects.order_by("code").values_list("code", flat=True)
        self.choose_from("product", [("", "all products"), *((code, code) for code in codes)])

    def act(self) -> Done:
        data = self.cleaned_data
        command = RequestForceMajeure(
            int(data["provider"]),
            data["starts_at"].astimezone(UTC),
            data["ends_at"].astimezone(UTC),
            data["reason"],
            data["product"],
        )
        asked = request_force_majeure(command, actor=self.access.actor, now=self.now)
        return Done("Another operator confirms or refuses it.", _page(asked))


class ConfirmForceMajeureForm(CommandForm):
    title = "Confirm force majeure"
    intro = "The provider owes no damages for what it refused in this time. This cannot be taken back."
    submit = "Confirm it"
    dangerous = True

    def __init__(self, *arguments: Any, asked: ForceMajeure, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.asked = asked

    def act(self) -> Done:
        confirm_force_majeure(self.asked.pk, actor=self.access.actor, now=self.now)
        return Done("It is confirmed.", _page(self.asked))


class RefuseForceMajeureForm(ReasonForm):
    title = "Refuse force majeure"
    intro = "The provider owes damages as in any other time. Another request may be made."
    submit = "Refuse it"

    def __init__(self, *arguments: Any, asked: ForceMajeure, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.asked = asked

    def act(self) -> Done:
        refuse_force_majeure(self.asked.pk, self.cleaned_data["reason"], actor=self.access.actor, now=self.now)
        return Done("It is refused.", _page(self.asked))


def _page(asked: ForceMajeure) -> str:
    return reverse("admin:settlement_forcemajeure_change", args=(asked.pk,))
