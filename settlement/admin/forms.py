"""Forms for share schedules and failed jobs."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from exchange.models import Product
from ledger.admin.command_forms import CommandForm, Done, ReasonForm, choice_field, decimal_field
from ledger.errors import InvalidAmount
from ledger.models import Party, PartyKind
from ledger.money import parse_micros
from ledger.templatetags.amounts import percent
from settlement.commands.retry_job import RetryJob, retry_job
from settlement.commands.set_share_schedule import SetShareSchedule, set_share_schedule
from settlement.models import SettlementJob
from settlement.splits import WHOLE_PPM

MICROS_PER_PPM = 100  # a percentage in micros of a percent, to parts per million
SHARE_ROLES = ("compute", "model", "dataset", "power", "platform")


class SetShareScheduleForm(CommandForm):
    """One percentage and one beneficiary for each role."""

    title = "Set a share schedule"
    intro = (
        "How your net income from a product is shared out, from the next gate closure on. The parts sum to 100 %. "
        "Compute without a party is your own; any other part without one is held until its owner is known."
    )
    submit = "Set this schedule"

    provider = choice_field("Provider")
    product = choice_field("Product")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        own = Party.objects.filter(pk__in=self.access.provider_ids).order_by("name")
        self.choose_from("provider", [(str(party.pk), party.name) for party in own])
        codes = Product.objects.order_by("code").values_list("code", flat=True)
        self.choose_from("product", [(code, code) for code in codes])
        others = Party.objects.exclude(kind__in=[PartyKind.HOUSE, PartyKind.AUDITOR]).order_by("name")
        owners = [("", "–"), *((party.code, party.name) for party in others)]
        for role in SHARE_ROLES:
            self.fields[f"{role}_percent"] = decimal_field(f"{role.capitalize()}: percent", required=False)
            self.fields[f"{role}_party"] = choice_field(f"{role.capitalize()}: goes to", owners, required=False)

    @property
    def rows(self) -> list[tuple[str, Any, Any]]:
        """The fields of each role."""
        return [(role, self[f"{role}_percent"], self[f"{role}_party"]) for role in SHARE_ROLES]

    def act(self) -> Done:
        data = self.cleaned_data
        weights = {
            role: {"ppm": _ppm(data[f"{role}_percent"], f"{role}_percent"), "party": data[f"{role}_party"]}
            for role in SHARE_ROLES
            if data[f"{role}_percent"]
        }
        shared_ppm = sum(weight["ppm"] for weight in weights.values())
        if shared_ppm != WHOLE_PPM:
            raise InvalidAmount(f"The parts sum to {percent(shared_ppm)}, not to 100 %.")
        command = SetShareSchedule(int(data["provider"]), data["product"], weights)
        schedule = set_share_schedule(command, actor=self.access.actor, now=self.now)
        url = reverse("admin:settlement_shareschedule_change", args=(schedule.pk,))
        return Done(f"Version {schedule.version} counts from the next gate closure on.", url)


class RetryJobForm(ReasonForm):
    title = "Send a failed job again"
    intro = "The job gets all its attempts back. It posts nothing twice, whatever it had posted before it failed."
    submit = "Send it again"

    def __init__(self, *arguments: Any, job: SettlementJob, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.job = job

    def act(self) -> Done:
        retry_job(RetryJob(self.job.pk, self.cleaned_data["reason"]), actor=self.access.actor, now=self.now)
        return Done("The job is due again.", reverse("admin:settlement_settlementjob_change", args=(self.job.pk,)))


def _ppm(percent: str, field: str) -> int:
    """ "12.5" percent -> 125000 parts per million."""
    ppm, rest = divmod(parse_micros(percent, field=field), MICROS_PER_PPM)
    if rest:
        raise InvalidAmount("A percentage has at most four decimals.", field=field)
    return ppm
